//! Packet sockets on real interfaces, in private namespaces where possible.
#![cfg(target_os = "linux")]

use std::process::Command;
use std::sync::{Arc, Mutex};

use skep_spec::Errno;
use skep_user::source::netns;
use skep_user::source::packet_socket::PacketSocket;

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

/// Runs a shell script in a private namespace; gives `(data length, wire length, packet type, protocol)` of
/// every packet on its `lo`, or `None` where that is not possible.
fn watch(script: &str) -> Option<Vec<(usize, u32, u8, u16)>> {
    let (mut child, socket) = match netns::spawn(shell(script)) {
        Ok(started) => started,
        Err(e) => {
            println!("skipped: {e}");
            return None;
        }
    };
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    let receiver = socket
        .start(move |p| {
            sink.lock().expect("not poisoned").push((p.data.len(), p.wire_len, p.pkt_type.0, p.protocol));
        })
        .expect("a ring");
    let status = child.wait().expect("the child is ours");
    let stats = receiver.stop().expect("receiving works");
    assert!(status.success(), "{script}: {status}");
    assert_eq!((stats.dropped, stats.truncated), (0, 0));
    let seen = seen.lock().expect("not poisoned").clone();
    assert_eq!(stats.packets, seen.len() as u64);
    Some(seen)
}

#[test]
fn every_packet_of_a_private_loopback_is_seen() {
    let Some(seen) = watch("ping -c 3 -i 0.05 -s 100 127.0.0.1 >/dev/null") else { return };
    // Three requests and three replies, each leaving and arriving: 100 bytes, ICMP 8, IP 20, Ethernet 14.
    let pings: Vec<_> = seen.iter().filter(|p| p.3 == 0x800).collect();
    assert_eq!(pings.len(), 12, "{seen:?}");
    assert!(pings.iter().all(|p| p.0 == 142 && p.1 == 142));
    assert_eq!(pings.iter().filter(|p| p.2 == 4).count(), 6, "half of them leave");
}

#[test]
fn packets_from_the_first_instruction_on_are_seen() {
    // `exec`: nothing happens between the start and the ping.
    let Some(seen) = watch("exec ping -c 1 127.0.0.1 >/dev/null") else { return };
    assert_eq!(seen.iter().filter(|p| p.3 == 0x800).count(), 4, "{seen:?}");
}

#[test]
fn segmentation_offload_frames_arrive_whole() {
    const SCRIPT: &str = "command -v python3 >/dev/null || exit 0; exec python3 -c '
import socket, threading
s = socket.create_server((\"127.0.0.1\", 0))
def take():
    c = s.accept()[0]
    while c.recv(1 << 20): pass
t = threading.Thread(target=take); t.start()
c = socket.create_connection(s.getsockname())
c.sendall(bytes(8 << 20)); c.close(); t.join()
'";
    let Some(seen) = watch(SCRIPT) else { return };
    if seen.is_empty() {
        println!("skipped: no python3");
        return;
    }
    let largest = seen.iter().map(|p| p.0).max().unwrap_or(0);
    assert!(largest > 60_000, "the largest frame has {largest} bytes");
    let payload: usize = seen.iter().filter(|p| p.2 == 0).map(|p| p.0.saturating_sub(66)).sum();
    assert!(payload >= 8 << 20, "{payload} bytes of payload");
}

#[test]
fn an_interface_that_was_down_is_heard_again() {
    const SCRIPT: &str = "command -v ip >/dev/null || exit 0; ip link set lo down; sleep 0.3; ip link set lo up; \
        exec ping -c 1 127.0.0.1 >/dev/null";
    let Some(seen) = watch(SCRIPT) else { return };
    if seen.is_empty() {
        println!("skipped: no ip");
        return;
    }
    assert_eq!(seen.iter().filter(|p| p.3 == 0x800).count(), 4, "{seen:?}");
}

#[test]
fn packets_that_the_ring_cannot_hold_are_counted_as_dropped() {
    const SCRIPT: &str = "command -v python3 >/dev/null || exit 0; exec python3 -c '
import socket
r = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); r.bind((\"127.0.0.1\", 0))
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(2000): s.sendto(bytes(60000), r.getsockname())
'";
    let (mut child, socket) = match netns::spawn(shell(SCRIPT)) {
        Ok(started) => started,
        Err(e) => {
            println!("skipped: {e}");
            return;
        }
    };
    // Nobody takes packets out while 4,000 of 60 KB come: some 230 MiB into a ring of 32.
    assert!(child.wait().expect("the child is ours").success());
    let receiver = socket.start(|_| {}).expect("a ring");
    let stats = receiver.stop().expect("receiving works");
    if stats.packets == 0 {
        println!("skipped: no python3");
        return;
    }
    assert!(stats.packets > 300 && stats.dropped > 1000, "{stats:?}");
    // Neighbour discovery may add a few.
    assert!((4000..4050).contains(&(stats.packets + stats.dropped)), "{stats:?}");
}

#[test]
fn an_unknown_interface_is_named_with_those_there_are() {
    let error = PacketSocket::open("nosuch0").expect_err("no such interface");
    assert_eq!(error.errno, Errno::ENODEV);
    assert!(error.message.contains("`nosuch0`") && error.message.contains("lo"), "{error}");
    assert!(PacketSocket::open("").is_err());
    assert!(PacketSocket::open("a\0b").is_err());
}

#[test]
fn a_command_that_cannot_start_is_named() {
    let error = netns::spawn(Command::new("/no/such/command")).expect_err("no such command");
    if error.errno == Errno::EPERM {
        println!("skipped: {error}");
        return;
    }
    assert_eq!(error.errno, Errno::ENOENT);
    assert!(error.message.contains("/no/such/command"), "{error}");
}
