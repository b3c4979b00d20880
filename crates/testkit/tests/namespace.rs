//! Counts on `lo` are the kernel's counts: the same object runs as a kernel socket filter and in the user
//! backend at the same time, in a network namespace of its own, under ping, UDP and TCP.
//!
//! The test runs itself again inside the namespace (`unshare --net`), so that nobody else's packets count.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use skep_linux::LinuxBackend;
use skep_object::Object;
use skep_spec::{Backend, BackendLink, BackendMap, LoadOptions, ProgramSpec};
use skep_testkit::case::source;
use skep_user::UserBackend;

/// Set in the namespace.
const INSIDE: &str = "SKEP_TEST_IN_NAMESPACE";

/// Datagrams of each size; each passes `lo` twice, going out and coming in.
const DATAGRAMS: usize = 200;
const SIZES: [usize; 4] = [1, 100, 1400, 60_000];
/// Bytes over one TCP connection: enough for segments of 64 KiB.
const STREAM: usize = 32 << 20;
const PINGS: usize = 50;

#[test]
fn counts_on_lo_equal_the_kernels() {
    if std::env::var_os(INSIDE).is_some() {
        return inside();
    }
    let skip = |why: &str| println!("skipped: counts_on_lo_equal_the_kernels: {why}");
    if let Some(why) = LinuxBackend::probe().reason() {
        return skip(why);
    }
    let possible = Command::new("unshare").args(["--net", "ip", "link", "set", "lo", "up"]).output();
    match possible {
        Err(e) => return skip(&format!("unshare: {e}")),
        Ok(out) if !out.status.success() => {
            return skip(&format!("a network namespace: {}", String::from_utf8_lossy(&out.stderr).trim()));
        }
        Ok(_) => {}
    }
    let me = std::env::current_exe().expect("a test has a path");
    let out = Command::new("unshare")
        .args(["--net", "sh", "-c", "ip link set lo up && exec \"$0\" \"$@\""])
        .arg(me)
        .args(["--exact", "counts_on_lo_equal_the_kernels", "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .output()
        .expect("unshare was there a moment ago");
    print!("{}", String::from_utf8_lossy(&out.stdout));
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}

/// Keeps the greatest length of a frame; its map has one value.
const LONGEST: &str = "
.map longest type=array key=4 value=8 max_entries=1
.section socket
longest_frame:
    r6 = *(u32 *)(r1 + 0)
    *(u32 *)(r10 - 4) = 0
    r1 = map[longest] ll
    r2 = r10
    r2 += -4
    call bpf_map_lookup_elem
    if r0 == 0 goto out
    r1 = *(u64 *)(r0 + 0)
    if r1 >= r6 goto out
    *(u64 *)(r0 + 0) = r6
out:
    r0 = 0
    exit
";

/// A program attached in a backend, with its map.
struct Watch {
    link: Box<dyn BackendLink>,
    map: Arc<dyn BackendMap>,
}

fn attach(backend: &dyn Backend, spec: &ProgramSpec) -> Watch {
    let maps: Vec<_> = spec.maps.iter().map(|m| backend.create_map(m).expect("a map")).collect();
    let program = backend
        .load(spec, &maps, LoadOptions::default())
        .unwrap_or_else(|e| panic!("{}: {e}\n{}", backend.name(), e.log));
    let link = backend.attach_socket(&program, "lo").expect("we are root here");
    Watch { link, map: Arc::clone(&maps[0]) }
}

impl Watch {
    fn value(&self, key: u32) -> u64 {
        let bytes = self.map.lookup(&key.to_ne_bytes(), 0).expect("an element of an array");
        u64::from_ne_bytes(bytes.try_into().expect("8 bytes"))
    }

    fn all(&self) -> Vec<(u32, u64)> {
        (0..256).map(|k| (k, self.value(k))).filter(|(_, n)| *n != 0).collect()
    }
}

fn inside() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/protocols/protocols.bpf.o");
    let bytes = std::fs::read(&path).expect("the committed object");
    let object = Object::parse("protocols.bpf.o", &bytes).expect("a good object");
    let counter = object.programs[0].spec.as_ref().expect("a supported program");
    let longest = &source::assemble(LONGEST).expect("good assembly")[0];

    let (user, linux) = (UserBackend::new(), LinuxBackend::new());
    let counts = [attach(&linux, counter), attach(&user, counter)];
    let lengths = [attach(&linux, longest), attach(&user, longest)];

    let pings = ping();
    udp();
    tcp();
    settle(&counts);
    settle(&lengths);

    for watch in counts.iter().chain(&lengths) {
        let stats = watch.link.stats();
        assert_eq!((stats.dropped, stats.faults), (0, 0), "{stats:?}");
    }
    let (kernel, skep) = (counts[0].all(), counts[1].all());
    println!("kernel {kernel:?}\nskep   {skep:?}");
    assert_eq!(kernel, skep, "protocol, packets");
    // Request and reply, each going out and coming in.
    assert!(!pings || counts[0].value(1) >= 4 * PINGS as u64);
    assert!(counts[0].value(17) >= 2 * (DATAGRAMS * SIZES.len()) as u64);
    assert!(counts[0].value(6) > 100);
    let (kernel, skep) = (lengths[0].value(0), lengths[1].value(0));
    println!("longest frame: kernel {kernel}, skep {skep}");
    assert_eq!(kernel, skep);
    assert!(kernel > 60_000, "no frame of 64 KiB among the traffic");
}

/// Waits until the reader on the user side has seen everything: its count stands still.
fn settle(watches: &[Watch; 2]) {
    let (start, mut last) = (Instant::now(), (u64::MAX, Instant::now()));
    while start.elapsed() < Duration::from_secs(20) {
        let runs = watches[1].link.stats().runs;
        if runs != last.0 {
            last = (runs, Instant::now());
        } else if runs >= watches[0].link.stats().runs && last.1.elapsed() > Duration::from_millis(300) {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether there is a `ping` to send with.
fn ping() -> bool {
    let count = PINGS.to_string();
    let run = Command::new("ping").args(["-q", "-c", &count, "-i", "0.002", "127.0.0.1"]).output();
    match run {
        Ok(out) => {
            assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
            true
        }
        Err(e) => {
            println!("skipped: ICMP: ping: {e}");
            false
        }
    }
}

fn udp() {
    let receiver = UdpSocket::bind("127.0.0.1:0").expect("lo is up");
    let sender = UdpSocket::bind("127.0.0.1:0").expect("lo is up");
    let to = receiver.local_addr().expect("it is bound");
    let mut buffer = vec![0; 65_536];
    for size in SIZES {
        for _ in 0..DATAGRAMS {
            sender.send_to(&buffer[..size], to).expect("sent over lo");
            let (got, _) = receiver.recv_from(&mut buffer).expect("received over lo");
            assert_eq!(got, size);
        }
    }
}

fn tcp() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("lo is up");
    let to = listener.local_addr().expect("it is bound");
    let sender = std::thread::spawn(move || {
        let mut stream = TcpStream::connect(to).expect("somebody listens");
        let chunk = vec![7; 1 << 20];
        for _ in 0..STREAM / chunk.len() {
            stream.write_all(&chunk).expect("sent over lo");
        }
    });
    let (mut stream, _) = listener.accept().expect("somebody connects");
    let (mut buffer, mut total) = (vec![0; 1 << 16], 0);
    loop {
        match stream.read(&mut buffer).expect("received over lo") {
            0 => break,
            n => total += n,
        }
    }
    sender.join().expect("sent without a panic");
    assert_eq!(total, STREAM);
}
