//! The examples as libbpf 1.7 defines their maps and links their programs. `libbpf/libbpf-1.7.txt` is its word, written
//! by `libbpf/describe.c`; instructions are compared by hash, maps by all parameters.

mod common;

use std::collections::BTreeSet;

use common::{example, read};
use skep_abi::MapType;
use skep_isa::Endian;
use skep_object::Object;
use skep_spec::Pinning;

/// FNV-1a over the instructions, with libbpf's descriptors instead of indices, counted as 0.
fn hash(insns: &[skep_isa::Insn]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for insn in insns {
        let mut insn = *insn;
        if insn.is_wide() && matches!(insn.src.0, 5 | 6) {
            insn.src.0 -= 4;
            insn.imm = 0;
        }
        for b in insn.to_bytes(Endian::Little) {
            hash = (hash ^ u64::from(b)).wrapping_mul(0x100_0000_01b3);
        }
    }
    hash
}

fn describe(o: &Object, out: &mut BTreeSet<String>) {
    let name = &o.name;
    for m in &o.maps {
        let d = m.def.as_ref().unwrap_or_else(|e| panic!("{e}"));
        // Only skep knows the type of a ring buffer's records.
        let value_type = if d.kind == MapType::RINGBUF { 0 } else { d.value_btf_id };
        let flags = match d.flags.0 {
            0 => "0".into(),
            f => format!("{f:#x}"),
        };
        out.insert(format!(
            "{name}: map {} type {} key {} value {} entries {} flags {flags} numa {} extra {} types {} {value_type} pin {}",
            d.name, d.kind.0, d.key_size, d.value_size, d.max_entries, d.numa_node, d.map_extra, d.key_btf_id,
            u8::from(d.pinning != Pinning::None),
        ));
    }
    for p in &o.programs {
        let s = p.spec.as_ref().unwrap_or_else(|e| panic!("{e}"));
        out.insert(format!(
            "{name}: program {} section {} type {} attach {} autoload {} insns {} {:016x}",
            p.name,
            p.section,
            s.prog_type.0,
            s.attach_type.0,
            u8::from(p.autoload),
            s.insns.len(),
            hash(&s.insns),
        ));
    }
}

#[test]
fn examples_are_what_libbpf_makes_of_them() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/libbpf/libbpf-1.7.txt");
    let text = String::from_utf8(read(&path)).expect("text");
    let (mut want, mut got, mut object) = (BTreeSet::new(), BTreeSet::new(), "");
    for line in text.lines() {
        match line.strip_prefix("object ") {
            Some(name) => {
                object = name;
                describe(&example(name), &mut got);
            }
            None => {
                want.insert(format!("{object}: {line}"));
            }
        }
    }
    assert!(want.len() > 30, "the file has all examples");
    let only =
        |a: &BTreeSet<String>, b: &BTreeSet<String>| a.difference(b).cloned().collect::<Vec<_>>().join("\n");
    assert!(want == got, "libbpf:\n{}\nskep:\n{}", only(&want, &got), only(&got, &want));
}
