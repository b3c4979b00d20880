//! Good inputs to start from.

use std::path::Path;

use skep_abi::ProgramType;
use skep_isa::Endian;
use skep_object::{Object, Unlinked};

use crate::generate::program::generate;

/// Program types of the instruction target, by its first byte.
pub const PROGRAM_TYPES: [ProgramType; 6] = [
    ProgramType::SYSCALL,
    ProgramType::SOCKET_FILTER,
    ProgramType::XDP,
    ProgramType::SCHED_CLS,
    ProgramType::CGROUP_SKB,
    ProgramType::FLOW_DISSECTOR,
];

/// Seeds of a target: examples of the repository, generated programs, captures made here, and what is kept.
pub fn of(target: &str) -> Vec<Vec<u8>> {
    let mut seeds = good(target);
    seeds.extend(kept(target));
    seeds
}

/// Inputs that libFuzzer has found to go ways that no other went (`fuzz/kept/TARGET`).
pub fn kept(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/kept").join(target);
    in_folder(&folder, false, |_| true)
}

fn good(target: &str) -> Vec<Vec<u8>> {
    match target {
        "elf" => objects(),
        "btf" => objects()
            .iter()
            .filter_map(|bytes| Object::parse("seed.o", bytes).ok()?.btf)
            .map(|btf| btf.to_bytes(skep_btf::Endian::Little))
            .collect(),
        // Objects, and types that they are for.
        "core" => {
            let objects = core_objects();
            let types = objects.iter().filter_map(|bytes| {
                let types = Unlinked::parse_any_endian("seed.o", bytes)
                    .ok()?
                    .btf()?
                    .to_bytes(skep_btf::Endian::Little);
                Some(types)
            });
            let types: Vec<_> = types.collect();
            objects.into_iter().chain(types).collect()
        }
        "insns" => (0..200).map(program).collect(),
        "pcap" => captures(),
        _ => Vec::new(),
    }
}

fn objects() -> Vec<Vec<u8>> {
    in_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples"), true, is_object)
}

/// Objects with CO-RE relocations.
pub(super) fn core_objects() -> Vec<Vec<u8>> {
    in_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../object/tests/fixtures/core"), false, is_object)
}

fn is_object(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "o")
}

/// Files of a folder, or of the folders in it.
fn in_folder(folder: &Path, deep: bool, wanted: impl Fn(&Path) -> bool) -> Vec<Vec<u8>> {
    let list = |folder: &Path| -> Vec<_> {
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()).collect()
    };
    let mut paths = list(folder);
    if deep {
        paths = paths.iter().flat_map(|p| list(p)).collect();
    }
    paths.retain(|p| p.is_file() && wanted(p));
    paths.sort();
    paths.iter().filter_map(|p| std::fs::read(p).ok()).collect()
}

fn program(seed: u64) -> Vec<u8> {
    let spec = generate(seed).spec;
    let kind = PROGRAM_TYPES.iter().position(|t| *t == spec.prog_type).unwrap_or(0) as u8;
    let insns = spec.insns.iter().flat_map(|i| i.to_bytes(Endian::Little));
    std::iter::once(kind).chain(insns).collect()
}

/// A pcap and a pcapng file of three packets each.
fn captures() -> Vec<Vec<u8>> {
    let packets: [&[u8]; 3] = [&[0xff; 60], &[0x45; 14], &[0; 200]];
    let mut pcap = Vec::new();
    for word in [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 65_535, 1] {
        pcap.extend(word.to_le_bytes());
    }
    let mut section = Vec::new();
    // Section header, interface description, then enhanced packets; each block ends with its length.
    block(
        &mut section,
        0x0a0d_0d0a,
        &[&0x1a2b_3c4du32.to_le_bytes()[..], &[1, 0, 0, 0], &[0xff; 8]].concat(),
    );
    block(&mut section, 1, &[1, 0, 0, 0, 0xff, 0xff, 0, 0]);
    for (i, packet) in packets.iter().enumerate() {
        let len = packet.len() as u32;
        for word in [i as u32, 0, len, len] {
            pcap.extend(word.to_le_bytes());
        }
        pcap.extend(*packet);
        let mut body: Vec<u8> = [0, 0, i as u32, len, len].iter().flat_map(|w| w.to_le_bytes()).collect();
        body.extend(*packet);
        body.resize(body.len().next_multiple_of(4), 0);
        block(&mut section, 6, &body);
    }
    vec![pcap, section]
}

fn block(out: &mut Vec<u8>, kind: u32, body: &[u8]) {
    let len = (body.len() as u32 + 12).to_le_bytes();
    out.extend(kind.to_le_bytes());
    out.extend(len);
    out.extend(body);
    out.extend(len);
}
