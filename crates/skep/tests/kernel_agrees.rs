//! The same object at the same time in skep and as a socket filter of the kernel: the counts agree exactly.
//!
//! Both are attached to the `lo` of a network namespace of its own before the traffic starts: ping, UDP and TCP,
//! frames of up to 64 KiB among it. The test starts itself again inside the namespace.
#![cfg(target_os = "linux")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use skep::source::packet_socket::PacketSocket;
use skep::{Backend, Loaded, Object};

const INSIDE: &str = "SKEP_TEST_INSIDE_NAMESPACE";
const OBJECT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/protocols/protocols.bpf.o");

#[test]
fn counts_equal_the_kernel_s_under_real_traffic() {
    if std::env::var_os(INSIDE).is_some() {
        inside();
        return;
    }
    if let Err(e) = Backend::linux() {
        println!("skipped: {e}");
        return;
    }
    let output = Command::new("unshare")
        .args(["--net", "--"])
        .arg(std::env::current_exe().expect("this test's own program"))
        .args(["--exact", "counts_equal_the_kernel_s_under_real_traffic", "--nocapture"])
        .env(INSIDE, "1")
        .output();
    let output = match output {
        Ok(output) if String::from_utf8_lossy(&output.stderr).contains("unshare failed") => {
            println!("skipped: {}", String::from_utf8_lossy(&output.stderr).trim());
            return;
        }
        Ok(output) => output,
        Err(e) => {
            println!("skipped: no unshare: {e}");
            return;
        }
    };
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("agreed on") || text.contains("skipped:"), "{text}");
}

fn counts(loaded: &Loaded) -> Vec<u64> {
    let map = loaded.map("packets").expect("the map");
    (0..256u32).map(|key| map.get(&key).expect("an array").expect("an element")).collect()
}

fn inside() {
    let up = Command::new("ip").args(["link", "set", "lo", "up"]).status();
    if !up.is_ok_and(|s| s.success()) {
        println!("skipped: cannot bring up lo");
        return;
    }
    let object = Object::open(OBJECT).expect("the example");
    let kernel = object.load(&Backend::linux().expect("bpf(2) works")).expect("the kernel takes it");
    let user = object.load(&Backend::user()).expect("skep takes it");
    let name = "count_protocols";
    let _link = kernel.program(name).expect("loaded").attach_socket("lo").expect("a raw socket");
    let largest = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&largest);
    let socket = PacketSocket::open("lo").expect("a raw socket");
    let watch = user
        .program(name)
        .expect("loaded")
        .watch(socket, move |packet, verdict| {
            seen.fetch_max(packet.data.len(), Ordering::Relaxed);
            verdict.expect("no traps");
        })
        .expect("it runs");

    traffic();

    // The kernel counts in the sender's own call; skep when the ring hands the packets over.
    let deadline = Instant::now() + Duration::from_secs(20);
    while counts(&user) != counts(&kernel) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    let (tally, source) = watch.stop().expect("receiving works");
    let (ours, theirs) = (counts(&user), counts(&kernel));
    assert_eq!((source.dropped, source.truncated, tally.faults), (0, 0, 0));
    assert_eq!(ours, theirs);
    for protocol in [1, 6, 17, 58] {
        assert!(ours[protocol] > 0, "no traffic of protocol {protocol}");
    }
    let largest = largest.load(Ordering::Relaxed);
    assert!(largest > 60_000, "the largest frame had {largest} bytes only");
    println!("agreed on {} packets, the largest of {largest} bytes", ours.iter().sum::<u64>());
}

fn traffic() {
    for address in ["127.0.0.1", "::1"] {
        let ping = Command::new("ping").args(["-q", "-c", "20", "-i", "0.01", address]).output();
        assert!(ping.expect("ping runs").status.success(), "ping {address}");
    }
    let receiver = UdpSocket::bind("127.0.0.1:0").expect("a UDP socket");
    let sender = UdpSocket::bind("127.0.0.1:0").expect("a UDP socket");
    for len in 0..2000 {
        sender.send_to(&vec![7; len], receiver.local_addr().expect("bound")).expect("it is sent");
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a TCP socket");
    let address = listener.local_addr().expect("bound");
    let reading = std::thread::spawn(move || {
        let (mut peer, _) = listener.accept().expect("a connection");
        let mut bytes = Vec::new();
        peer.read_to_end(&mut bytes).expect("it is read");
        bytes.len()
    });
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.write_all(&vec![9; 16 << 20]).expect("it is written");
    drop(stream);
    assert_eq!(reading.join().expect("the reader ends"), 16 << 20);
}
