//! Objects of others and of the examples over captures of real traffic (`captures/make.py`): the user backend's verdicts,
//! packets and values of maps beside the kernel's (`BPF_PROG_TEST_RUN`).

mod common;

use std::path::{Path, PathBuf};

use common::packages::unpacked;
use skep::{Backend, Loaded, Object};
use skep_abi::{MapType, ProgramType};
use skep_spec::RunInput;

/// Objects of Debian's packages that are about packets and stand alone.
const DEBIAN: [&str; 6] = [
    "usr/libexec/xdp-tools/xdp_drop.o",
    "usr/libexec/xdp-tools/xdp_pass.o",
    "usr/libexec/xdp-tools/test_long_func_name.o",
    "usr/lib/x86_64-linux-gnu/bpf/xdp-dispatcher.o",
    "usr/lib/x86_64-linux-gnu/bpf/xsk_def_xdp_prog.o",
    "usr/lib/x86_64-linux-gnu/bpf/xsk_def_xdp_prog_5.3.o",
];

/// Objects of this repository.
fn examples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut out: Vec<_> = std::fs::read_dir(folder)
        .expect("a folder of the repository")
        .flatten()
        .map(|e| e.path().join(format!("{}.bpf.o", e.file_name().to_string_lossy())))
        .filter(|p| p.exists())
        .collect();
    out.sort();
    out
}

/// What arrays and hashes hold that several CPUs share; the user backend may run on another CPU than the kernel.
fn contents(loaded: &Loaded) -> Vec<(String, Vec<String>)> {
    let mut out = Vec::new();
    for map in loaded.maps() {
        let shared = matches!(map.info().kind, MapType::ARRAY | MapType::HASH | MapType::LRU_HASH);
        // That one holds the time of the last packet.
        if !shared || map.name() == "globals.bss" {
            continue;
        }
        let mut entries: Vec<_> = map
            .entries()
            .unwrap_or_else(|e| panic!("{e}"))
            .into_iter()
            .map(|e| format!("{:02x?} {:02x?}", e.0, e.1))
            .collect();
        entries.sort();
        out.push((map.name().to_owned(), entries));
    }
    out
}

#[test]
fn captures_give_the_kernel_s_verdicts() {
    let kernel = match Backend::linux() {
        Ok(kernel) => kernel,
        Err(why) => return println!("skipped: {why}"),
    };
    let quiet = skep_user::UserOptions { printk: Box::new(|_| {}), ..skep_user::UserOptions::default() };
    let user = Backend::user_with(quiet);
    let captures = common::captured();
    let mut objects = examples();
    let debian = unpacked();
    match &debian {
        Ok(root) => objects.extend(DEBIAN.iter().map(|o| root.join(o))),
        Err(why) => println!("skipped: Debian's objects: {why}"),
    }
    let (mut compared, mut absent, mut runs) = (Vec::new(), Vec::new(), 0);
    for path in &objects {
        let name = path.file_name().expect("a file").to_string_lossy();
        let object = Object::open(path).unwrap_or_else(|e| panic!("{e}"));
        let packets = [ProgramType::XDP, ProgramType::SOCKET_FILTER, ProgramType::SCHED_CLS];
        let ours = match object.load(&user) {
            Ok(loaded) => loaded,
            Err(e) if e.is_unsupported() => {
                absent.push(e.to_string());
                continue;
            }
            Err(e) => panic!("{name}: {e}"),
        };
        let theirs = object.load(&kernel).unwrap_or_else(|e| panic!("{name}: {e}"));
        for (a, b) in ours.programs().iter().zip(theirs.programs()) {
            if !packets.contains(&a.info().prog_type) {
                continue;
            }
            for (capture, packets) in &captures {
                for packet in packets {
                    let input = || RunInput { data: packet, ctx: &[], repeat: 1 };
                    let place =
                        || format!("{name}, program {}, {capture}.pcap: {packet:02x?}", a.info().name);
                    let a = a.test_run(input()).unwrap_or_else(|e| panic!("{}: {e}", place()));
                    let b = b.test_run(input()).unwrap_or_else(|e| panic!("{}: {e}", place()));
                    assert_eq!((a.retval, &a.data), (b.retval, &b.data), "{}", place());
                    runs += 1;
                }
            }
            compared.push(format!("{name}:{}", a.info().name));
        }
        assert_eq!(contents(&ours), contents(&theirs), "{name}: maps");
    }
    println!("{} programs, {runs} runs: {}", compared.len(), compared.join(", "));
    println!("not in the user backend: {absent:?}");
    assert!(compared.len() >= if debian.is_ok() { 23 } else { 17 }, "{compared:?}");
    assert!(absent.iter().all(|e| e.contains("xskmap maps are not supported yet here")), "{absent:?}");
}
