//! Maps that several processes share: a loader with its program in one, readers and further loaders in others.
#![cfg(target_os = "linux")]

mod common;

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use common::{code, stderr, stdout};
use serde_json::Value as Json;

/// Counts packets by length in a hash, all in an array, that want to be found by name.
const TEXT: &str = "
.license GPL
.map counts type=hash key=4 value=8 max_entries=1024 pinning=by_name
.map total type=array key=4 value=8 max_entries=1 pinning=by_name
.map own type=array key=4 value=8 max_entries=1
.section socket
count:
    r1 = *(u32 *)(r1 + 0)
    *(u32 *)(r10 - 4) = r1
    r1 = map[counts] ll
    r2 = r10
    r2 += -4
    call bpf_map_lookup_elem
    if r0 == 0 goto new
    r1 = 1
    lock *(u64 *)(r0 + 0) += r1
    goto total
new:
    *(u64 *)(r10 - 16) = 1
    r1 = map[counts] ll
    r2 = r10
    r2 += -4
    r3 = r10
    r3 += -16
    r4 = 0
    call bpf_map_update_elem
total:
    *(u32 *)(r10 - 4) = 0
    r1 = map[total] ll
    r2 = r10
    r2 += -4
    call bpf_map_lookup_elem
    if r0 == 0 goto out
    r1 = 1
    lock *(u64 *)(r0 + 0) += r1
out:
    r0 = 0
    exit
";

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Ends a child that a failed test leaves.
struct Running(Option<Child>);

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The number that a pinned array has for key 0.
fn total(path: &str) -> Option<u64> {
    let output = common::run(["map", "dump", "pinned", path, "--json"]);
    if code(&output) != 0 {
        let words = stderr(&output);
        assert!(words.contains("nothing is pinned") || words.contains("no folder of pins"), "{words}");
        return None;
    }
    let json: Json = serde_json::from_str(&stdout(&output)).expect("JSON");
    let bytes: Vec<u8> = json[0]["value"]
        .as_array()?
        .iter()
        .map(|b| u8::from_str_radix(&b.as_str().expect("text")[2..], 16).expect("hex"))
        .collect();
    Some(u64::from_ne_bytes(bytes.try_into().expect("8 bytes")))
}

/// One runs its program on packets of a command, another reads the maps while it does, a third loads the same object,
/// counts in the same maps, and goes; the first does not notice.
#[test]
fn a_reader_and_a_second_loader_beside_the_first() {
    let folder = Folder(std::env::temp_dir().join(format!("skep-cli-shared-{}", std::process::id())));
    let _ = fs::remove_dir_all(&folder.0);
    fs::create_dir_all(folder.0.join("pins")).expect("a folder");
    let text = folder.0.join("count.s");
    fs::write(&text, TEXT).expect("a file");
    let pins = folder.0.join("pins");
    let (text, pins) = (text.to_str().expect("text"), pins.to_str().expect("text"));
    let all = format!("{pins}/total");
    assert_eq!(total(&all), None);
    let go_on = folder.0.join("go-on");
    let script = format!(
        "ping -c 3 -i 0.05 127.0.0.1 >/dev/null; touch {0}.ready; while ! [ -e {0} ]; do sleep 0.05; done; ping -c 2 -i 0.05 127.0.0.1 >/dev/null",
        go_on.display()
    );
    let first = common::skep()
        .args(["run", "--on", "lo", "--json", text, "--pin-root", pins, "--", "sh", "-c", &script])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let mut first = Running(Some(first));
    let start = Instant::now();
    let mut seen = Vec::new();
    // While it runs its counts are read from outside.
    while !folder.0.join("go-on.ready").exists() || seen.last().is_none_or(|n| *n < 12) {
        if first.0.as_mut().expect("running").try_wait().expect("a child").is_some() {
            let output = first.0.take().expect("running").wait_with_output().expect("its output");
            if stderr(&output).contains("forbids user namespaces") {
                println!("skipped: {}", stderr(&output).trim());
                return;
            }
            panic!("it ended early: {}", stderr(&output));
        }
        seen.extend(total(&all));
        assert!(start.elapsed() < Duration::from_secs(60), "nothing is counted: {seen:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(seen.is_sorted(), "counts go up: {seen:?}");
    let before = *seen.last().expect("some");
    // A second loader gets the same maps, and adds to them.
    let packet = folder.0.join("packet");
    fs::write(&packet, [0x45; 60]).expect("a file");
    let packet = packet.to_str().expect("text");
    for n in 1..4 {
        let output = common::run(["prog", "run", text, "count", "--pin-root", pins, "--data-in", packet]);
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        assert_eq!(total(&all), Some(before + n), "it counts in the map of the first");
    }
    // One whose definition differs is refused, and disturbs nobody.
    let other = folder.0.join("other.s");
    fs::write(&other, TEXT.replace("value=8 max_entries=1 pinning", "value=8 max_entries=2 pinning"))
        .expect("a file");
    let output = common::run([
        "prog",
        "run",
        other.to_str().expect("text"),
        "count",
        "--pin-root",
        pins,
        "--data-in",
        packet,
    ]);
    assert_eq!(code(&output), 1, "{}", stderr(&output));
    assert!(stderr(&output).contains("another map is pinned"), "{}", stderr(&output));
    fs::write(&go_on, []).expect("a file");
    let output = first.0.take().expect("running").wait_with_output().expect("its output");
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    // What the first counted before and after is all there.
    let last = total(&all).expect("it outlives its loaders");
    assert!(last >= before + 3 + 8, "two pings more: {before}, {last}");
    let output = common::run(["map", "dump", "pinned", &format!("{pins}/counts")]);
    assert!(stdout(&output).contains("Found "), "{}", stdout(&output));
    // What is no map says so.
    fs::write(format!("{pins}/junk"), [7; 500]).expect("a file");
    let output = common::run(["map", "dump", "pinned", &format!("{pins}/junk")]);
    assert!(code(&output) != 0 && stderr(&output).contains("it is no map of skep"), "{}", stderr(&output));
}
