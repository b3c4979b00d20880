//! xdp-tools' filters at work: the same object, maps and packets in the user backend and in the kernel
//! (`BPF_PROG_TEST_RUN`), verdict by verdict, and what the maps hold afterwards. Packets are made here, and come from
//! captures of real traffic (`captures/make.py`).

mod common;

use std::path::Path;
use std::process::Command;

use common::packages::unpacked;
use skep::{Backend, Loaded, Map, Object};
use skep_spec::RunInput;

/// How an element of a filter's map is meant: the source, the destination, and of which protocols.
const SOURCE: u64 = 1;
const DESTINATION: u64 = 2;
const TCP: u64 = 4;
const UDP: u64 = 8;
/// Hits are counted above the flags.
const COUNTER_SHIFT: u32 = 6;

/// An address of each kind that is in the maps, and one that is not.
const LISTED: u8 = 7;
const OTHER: u8 = 9;

/// Elements by map: key and flags.
const ELEMENTS: &[(&str, &[u8], u64)] = &[
    ("filter_ports", &[0, 80, 0, 0], SOURCE | TCP | UDP),
    ("filter_ports", &[0, 53, 0, 0], DESTINATION | UDP),
    ("filter_ports", &[1, 187, 0, 0], DESTINATION | TCP),
    ("filter_ipv4", &[10, 0, 0, LISTED], SOURCE | DESTINATION),
    ("filter_ipv6", &[0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, LISTED], SOURCE),
    ("filter_ethernet", &[2, 0, 0, 0, 0, LISTED], DESTINATION),
];

/// Says that this is the test in a mount namespace, and where BPF's file system is there: maps that the filters find
/// by name are pinned, and go with it.
const INSIDE: &str = "SKEP_TEST_XDP";

/// Starts this test again with a BPF file system of its own.
fn outside() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("xdp-bpffs");
    std::fs::create_dir_all(&folder).expect("writable");
    let output = Command::new("unshare")
        .args(["--mount", "--", "sh", "-c"])
        .arg(r#"mount -t bpf bpf "$1" || { echo "skipped: no BPF file system"; exit 0; }; exec "$2" --exact filters_give_the_kernel_s_verdicts --nocapture"#)
        .arg("sh")
        .arg(&folder)
        .arg(std::env::current_exe().expect("this test's own program"))
        .env(INSIDE, &folder)
        .output();
    let output = match output {
        Ok(output) if String::from_utf8_lossy(&output.stderr).contains("unshare failed") => {
            return println!("skipped: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(output) => output,
        Err(e) => return println!("skipped: no unshare: {e}"),
    };
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("10 filters") || text.contains("skipped:"), "{text}");
}

/// An element for every CPU.
fn put(map: &Map, key: &[u8], cpus: usize, flags: u64) {
    let value = flags.to_le_bytes().repeat(cpus);
    map.update(key, &value, 0).unwrap_or_else(|e| panic!("{}: {e}", map.name()));
}

fn set_up(object: &Object, backend: &Backend) -> Loaded {
    let loaded = object.load(backend).unwrap_or_else(|e| panic!("{}: {e}", backend.name()));
    let stats = loaded.map("xdp_stats_map").expect("each filter counts");
    let cpus = stats.lookup(&[0; 4]).expect("an array").expect("an element").len() / 16;
    for (name, key, flags) in ELEMENTS {
        if let Some(map) = loaded.map(name) {
            put(map, key, cpus, *flags);
        }
    }
    loaded
}

/// What a program has counted: by action packets and bytes, and hits of each element. Of all CPUs together.
fn counted(loaded: &Loaded) -> Vec<String> {
    let words = |bytes: &[u8]| {
        bytes.chunks_exact(8).map(|w| u64::from_le_bytes(w.try_into().expect("8 bytes"))).collect::<Vec<_>>()
    };
    let stats = loaded.map("xdp_stats_map").expect("each filter counts");
    let mut out = Vec::new();
    for action in 0u32..5 {
        let all = words(&stats.lookup(&action.to_le_bytes()).expect("an array").expect("an element"));
        let sum = |i: usize| all.iter().skip(i).step_by(2).sum::<u64>();
        out.push(format!("action {action}: {} packets, {} bytes", sum(0), sum(1)));
    }
    for (name, key, _) in ELEMENTS {
        if let Some(map) = loaded.map(name) {
            let all = words(&map.lookup(key).expect("a map").expect("it is there"));
            let hits: u64 = all.iter().map(|v| v >> COUNTER_SHIFT).sum();
            out.push(format!("{name} {key:?}: {hits} hits"));
        }
    }
    out
}

/// Headers from Ethernet to a transport protocol: every mixture of listed and other addresses and ports.
fn packets() -> Vec<Vec<u8>> {
    let mut whole = Vec::new();
    let hosts = [(LISTED, OTHER), (OTHER, LISTED), (OTHER, OTHER)];
    let ports = [(80u16, 4000u16), (4000, 80), (4000, 53), (53, 4000), (4000, 443), (4000, 4001)];
    for (from, to) in hosts {
        let mut ethernet = vec![2, 0, 0, 0, 0, to, 2, 0, 0, 0, 0, from];
        for tags in 0..3 {
            for (from, to) in hosts {
                for version in [4, 6] {
                    for protocol in [6u8, 17, 1, 58, 44] {
                        for (source, destination) in ports {
                            let mut p = ethernet.clone();
                            p.extend(if version == 4 { [8, 0] } else { [0x86, 0xdd] });
                            p.extend(if version == 4 {
                                ipv4(from, to, protocol, tags)
                            } else {
                                ipv6(from, to, protocol, tags)
                            });
                            p.extend(source.to_be_bytes());
                            p.extend(destination.to_be_bytes());
                            p.extend([0u8; 16]);
                            whole.push(p);
                        }
                    }
                }
            }
            ethernet.extend([0x81, 0, 0, 5]);
        }
    }
    // Other protocols of the network layer.
    whole.push([&[2, 0, 0, 0, 0, LISTED, 2, 0, 0, 0, 0, OTHER, 8, 6][..], &[0; 46]].concat());
    let cut: Vec<_> = whole.iter().step_by(97).flat_map(|p| (14..p.len()).map(|n| p[..n].to_vec())).collect();
    whole.extend(cut);
    whole
}

/// With options of that many words.
fn ipv4(from: u8, to: u8, protocol: u8, options: usize) -> Vec<u8> {
    let mut h =
        vec![0x45 + options as u8, 0, 0, 60, 0, 0, 0, 0, 64, protocol, 0, 0, 10, 0, 0, from, 10, 0, 0, to];
    h.extend(vec![1u8; options * 4]);
    h
}

/// With that many destination options before the transport protocol.
fn ipv6(from: u8, to: u8, protocol: u8, extensions: usize) -> Vec<u8> {
    let mut h = vec![0x60, 0, 0, 0, 0, 40, if extensions == 0 { protocol } else { 60 }, 64];
    for host in [from, to] {
        h.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, host]);
    }
    for i in 0..extensions {
        h.extend([if i + 1 == extensions { protocol } else { 60 }, 0, 1, 4, 0, 0, 0, 0]);
    }
    h
}

#[test]
fn filters_give_the_kernel_s_verdicts() {
    let kernel = match Backend::linux() {
        Ok(kernel) => kernel,
        Err(why) => return println!("skipped: {why}"),
    };
    if let Err(why) = libbpf_oracle::available() {
        return println!("skipped: {why}");
    }
    let root = match unpacked() {
        Ok(root) => root,
        Err(why) => return println!("skipped: {why}"),
    };
    let Some(bpffs) = std::env::var_os(INSIDE) else { return outside() };
    let user = Backend::user();
    let mut packets = packets();
    let made = packets.len();
    packets.extend(common::captured().into_iter().flat_map(|(_, packets)| packets));
    let (mut filters, mut verdicts, mut real) = (0, [0usize; 5], [0usize; 5]);
    let folder = Path::new("usr/lib/x86_64-linux-gnu/bpf");
    let mut objects: Vec<_> = std::fs::read_dir(root.join(folder))
        .expect("the package has objects")
        .map(|e| e.expect("readable").path())
        .filter(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("xdpfilt_")))
        .collect();
    objects.sort();
    for path in &objects {
        let mut object = Object::open(path).unwrap_or_else(|e| panic!("{e}"));
        let root = Path::new(&bpffs).join(path.file_stem().expect("a file"));
        std::fs::create_dir(&root).expect("a folder for pins");
        object.set_pin_root(root);
        let (ours, theirs) = (set_up(&object, &user), set_up(&object, &kernel));
        let (a, b) = (&ours.programs()[0], &theirs.programs()[0]);
        for (number, packet) in packets.iter().enumerate() {
            let input = || RunInput { data: packet, ctx: &[], repeat: 1 };
            let a = a.test_run(input()).unwrap_or_else(|e| panic!("{e}"));
            let b = b.test_run(input()).unwrap_or_else(|e| panic!("{e}"));
            assert_eq!((a.retval, &a.data), (b.retval, &b.data), "{}: {packet:02x?}", path.display());
            verdicts[a.retval as usize] += 1;
            real[a.retval as usize] += usize::from(number >= made);
        }
        assert_eq!(counted(&ours), counted(&theirs), "{}", path.display());
        filters += 1;
    }
    println!(
        "{filters} filters, {made} made packets and {} captured ones each, verdicts by action: {verdicts:?}, on those \
         captured {real:?}",
        packets.len() - made
    );
    assert_eq!(filters, 10, "xdp-tools has ten");
    assert!(verdicts[1] > 1000 && verdicts[2] > 1000, "some are dropped, some pass: {verdicts:?}");
    assert!(real[1] > 100 && real[2] > 100, "so are captured ones: {real:?}");
}
