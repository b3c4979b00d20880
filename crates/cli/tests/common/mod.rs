//! What the tests of the command share.
#![allow(dead_code, reason = "each test file uses a part")]

pub mod clang;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value as Json;
use skep::source::capture::Writer;

/// The command under test, in the project's folder.
pub fn skep() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_skep"));
    command.current_dir(root());
    command
}

/// The project's folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Runs the command.
pub fn run<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Output {
    skep().args(args).output().expect("the command starts")
}

/// Splits at blanks and runs.
pub fn line(args: &str) -> Output {
    run(args.split_whitespace())
}

/// Exit status.
pub fn code(output: &Output) -> i32 {
    output.status.code().expect("the command exits by itself")
}

/// Standard output.
pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("output is text")
}

/// Standard error.
pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("errors are text")
}

/// The lines of standard output as JSON; asserts success.
#[track_caller]
pub fn json_lines(output: &Output) -> Vec<Json> {
    assert_eq!(code(output), 0, "{}", stderr(output));
    stdout(output).lines().map(|l| serde_json::from_str(l).expect("a JSON line")).collect()
}

/// A folder of this test's own, removed at the end.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("skep-test-{}-{n}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder for the test");
        Self(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::write(&path, bytes).expect("a file for the test");
        path.display().to_string()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// An Ethernet frame with an IPv4 header of this protocol, and `len` bytes in all.
pub fn ipv4(protocol: u8, len: usize) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    frame.extend([0x45, 0]);
    frame.extend(((len - 14) as u16).to_be_bytes());
    frame.extend([0, 0, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    // Ports 1000 and 2000 for whoever has them; a data offset of 20 bytes for TCP.
    frame.extend([0x03, 0xe8, 0x07, 0xd0, 0, 0, 0, 0, 0, 0, 0, 0, 0x50]);
    frame.resize(len, 0);
    frame
}

/// An Ethernet frame with an IPv6 header of this next header.
pub fn ipv6(next_header: u8, len: usize) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd, 0x60, 0, 0, 0];
    frame.extend(((len - 54) as u16).to_be_bytes());
    frame.extend([next_header, 64]);
    frame.resize(len, 0);
    frame
}

/// An ARP frame.
pub fn arp() -> Vec<u8> {
    let mut frame = vec![0xff; 12];
    frame.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
    frame.resize(60, 0);
    frame
}

/// A capture with a packet every 100 ms from second 1000 on.
pub fn capture(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new()).expect("memory");
    for (i, frame) in frames.iter().enumerate() {
        let time = 1_000_000_000_000 + i as u64 * 100_000_000;
        writer.write(time, frame, frame.len() as u32).expect("memory");
    }
    writer.finish().expect("memory")
}

/// 7 TCP, 5 UDP, 3 ICMP, 2 ICMPv6, 1 TCP over IPv6, 2 ARP: 20 packets.
pub fn mixed() -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    for i in 0..7 {
        frames.push(ipv4(6, 60 + i * 100));
        if i < 5 {
            frames.push(ipv4(17, 80 + i));
        }
        if i < 3 {
            frames.push(ipv4(1, 98));
        }
        if i < 2 {
            frames.push(ipv6(58, 118));
            frames.push(arp());
        }
    }
    frames.push(ipv6(6, 90));
    frames
}

/// What the protocols example counts in [`mixed`].
pub const MIXED: &[(u64, u64)] = &[(1, 3), (6, 8), (17, 5), (58, 2)];

/// The number of a protocol, which the object's BTF has a name for and the assembly form has not.
fn protocol(key: &Json) -> u64 {
    let names = [("ICMP", 1), ("TCP", 6), ("UDP", 17), ("ICMPv6", 58)];
    let named = |n: &str| names.iter().find(|(name, _)| *name == n).map(|(_, number)| *number);
    key.as_u64().or_else(|| named(key.as_str()?)).unwrap_or_else(|| panic!("no protocol: {key}"))
}

/// The elements of a map in a report, as numbers.
pub fn elements(report: &Json, map: &str) -> Vec<(u64, u64)> {
    let list = report["maps"][map].as_array().unwrap_or_else(|| panic!("no map {map} in {report}"));
    list.iter().map(|e| (protocol(&e["key"]), e["value"].as_u64().expect("a number"))).collect()
}
