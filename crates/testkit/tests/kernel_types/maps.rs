//! Maps by the kernel's own pointers, and what maps keep with sockets.

use std::sync::Arc;

use skep_abi::{AttachType, MapFlags, MapType};
use skep_btf::{Builder, IntEncoding, Kind};
use skep_isa::{Imm64, Insn, Reg};
use skep_spec::{MapDef, ProgramSpec};

use crate::common::{MAP, compare, kernel, offset, same, spec, text, with_map};

/// Calls for what a map keeps with a socket: of `r6`, an argument, where it is one.
const STORED: &[(&str, &str)] = &[
    ("tcp_probe", "r2 = r6\nr3 = 0\nr4 = 0\ncall 107"),
    ("tcp_probe", "r2 = 0\nr3 = 0\nr4 = 0\ncall 107"),
    ("tcp_probe", "r2 = 1\nr3 = 0\nr4 = 0\ncall 107"),
    ("tcp_probe", "r2 = r6\nr2 += 8\nr3 = 0\nr4 = 0\ncall 107"),
    ("tcp_probe", "r2 = r6\nr3 = r10\nr3 += -8\nr4 = 1\ncall 107"),
    ("tcp_probe", "r2 = r6\nr3 = 0\nr4 = 0\ncall 107\nr0 = *(u64 *)(r0 + 0)"),
    ("tcp_probe", "r2 = r6\nr3 = 0\nr4 = 0\ncall 107\nif r0 == 0 goto +1\nr0 = *(u64 *)(r0 + 0)"),
    ("tcp_probe", "r2 = r6\ncall 108"),
    ("tcp_probe", "r2 = 0\ncall 108"),
    ("tcp_probe", "r2 = r10\ncall 108"),
    ("consume_skb", "r2 = r6\nr3 = 0\nr4 = 0\ncall 107"),
    ("consume_skb", "r2 = *(u64 *)(r6 + SK)\nr3 = 0\nr4 = 0\ncall 107"),
    ("consume_skb", "r2 = *(u64 *)(r6 + SK)\nif r2 == 0 goto +3\nr3 = 0\nr4 = 0\ncall 107\nr3 = 0"),
    ("consume_skb", "r2 = *(u64 *)(r6 + SK)\nr2 = *(u64 *)(r2 + 0)\nr3 = 0\nr4 = 0\ncall 107"),
    ("consume_skb", "r2 = *(u64 *)(r6 + SK)\ncall 108"),
    ("consume_skb", "r2 = *(u64 *)(r6 + DEV)\ncall 108"),
    ("consume_skb", "r1 = *(u64 *)(r6 + SK)\ncall 46"),
    ("consume_skb", "r1 = *(u64 *)(r6 + SK)\ncall 137"),
    ("consume_skb", "r1 = *(u64 *)(r6 + SK)\nif r1 == 0 goto +1\ncall 46\nr3 = 0"),
    ("consume_skb", "r1 = *(u64 *)(r6 + SK)\nif r1 == 0 goto +1\ncall 137\nr3 = 0"),
];

#[test]
fn programs_on_what_maps_keep_with_sockets() {
    let Some((kernel, env)) = kernel() else { return };
    let btf = env.kernel_types.clone().expect("just put there");
    let (sk, dev) = (offset(&btf, "sk_buff", "sk").to_string(), offset(&btf, "sk_buff", "dev").to_string());
    let mut types = Builder::new();
    let int = types.int("int", 4, IntEncoding::Signed);
    let long = types.int("long", 8, IntEncoding::Signed);
    let def = MapDef {
        flags: MapFlags(MapFlags::NO_PREALLOC),
        btf: Some(Arc::new(types.finish().expect("legal types"))),
        key_btf_id: int.0,
        value_btf_id: long.0,
        ..MapDef::new(MapType::SK_STORAGE, 4, 8, 0)
    };
    let map = kernel.create(&def).expect("the kernel makes the map");
    let (mut wrong, mut accepted) = (Vec::new(), 0);
    for (name, body) in STORED {
        let Some(id) = btf.find_by_name(Some(Kind::Typedef), &format!("btf_trace_{name}")) else { continue };
        let source = body.replace("SK", &sk).replace("DEV", &dev);
        let insns = text(&format!(
            "r6 = *(u64 *)(r1 + 0)\n*(u64 *)(r10 - 8) = 1\nr1 = {MAP:#x} ll\n{source}\nr0 = 0\nexit"
        ));
        let spec = with_map(spec(AttachType::TRACE_RAW_TP, id, insns), &def, Imm64::MapIdx(0));
        let what = format!("{name}: {body}");
        accepted += u32::from(same(&kernel, &env, &spec, &map, &mut wrong, &what));
    }
    assert_eq!(wrong, [""; 0]);
    assert!((6..STORED.len() as u32 - 6).contains(&accepted), "{accepted}");
}

/// Calls of an iterator over maps with its map in `r6`, where a function wants one.
const MAPS_BY_POINTER: &[&str] = &[
    "if r6 == 0 goto out\nr1 = r6",
    "r1 = r6",
    "if r6 == 0 goto out\nr1 = r6\nr1 += 8",
    "if r6 == 0 goto out\nr1 = *(u64 *)(r6 + INNER)",
    "r1 = r7",
    "if r7 == 0 goto out\nr1 = r7",
    "r1 = r10",
    "r1 = 0",
];

#[test]
fn maps_by_the_kernels_own_pointers() {
    let Some((kernel, env)) = kernel() else { return };
    let btf = env.kernel_types.clone().expect("just put there");
    let find = |name| btf.find_by_name(Some(Kind::Func), name);
    let (Some(iter), Some(alloc)) = (find("bpf_iter_bpf_map"), find("bpf_arena_alloc_pages")) else {
        println!("skipped: the kernel has no arenas");
        return;
    };
    let inner = offset(&btf, "bpf_map", "inner_map_meta").to_string();
    let (mut wrong, mut accepted) = (Vec::new(), 0);
    for body in MAPS_BY_POINTER {
        let source = body.replace("INNER", &inner);
        let mut insns = text(&format!(
            "r7 = *(u64 *)(r1 + 0)\nr6 = *(u64 *)(r1 + 8)\n{source}\nr2 = 0\nr3 = 1\nr4 = -1\nr5 = 0\ncall 0x7777\nout:\nr0 = 0\nexit"
        ));
        for insn in insns.iter_mut().filter(|insn| insn.opcode == 0x85) {
            *insn = Insn::new(0x85, Reg(0), Reg(2), 0, alloc.0 as i32);
        }
        let spec = ProgramSpec {
            license: "GPL".into(),
            flags: ProgramSpec::SLEEPABLE,
            ..spec(AttachType::TRACE_ITER, iter, insns)
        };
        accepted += u32::from(compare(&kernel, &env, &spec, &mut wrong, body));
    }
    assert_eq!(wrong, [""; 0]);
    assert!((1..MAPS_BY_POINTER.len() as u32).contains(&accepted), "{accepted}");
}
