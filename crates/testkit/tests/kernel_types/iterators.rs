//! What iterators give their programs and their readers.

use skep_abi::{AttachType, ITERATORS, MapFlags, MapType};
use skep_btf::{Kind, Type};
use skep_isa::Imm64;
use skep_spec::MapDef;

use crate::common::{MAP, compare, kernel, offset, same, spec, text, with_map};

/// What follows a load of the last argument (`r6`) of an iterator.
const AFTER: &[&str] = &[
    "r2 = *(u64 *)(r6 + 0)",
    "if r6 == 0 goto +1\nr2 = *(u64 *)(r6 + 0)\nr3 = 0",
    "if r6 == 0 goto +2\nr2 = 1\n*(u64 *)(r6 + 8) = r2\nr3 = 0",
    "if r6 == 0 goto +1\nr2 = *(u64 *)(r6 - 8)\nr3 = 0",
    "call 7\nr0 &= 7\nif r6 == 0 goto +2\nr6 += r0\nr2 = *(u8 *)(r6 + 0)\nr3 = 0",
    "if r6 == 0 goto +3\nr1 = r6\nr2 = 8\ncall 6\nr3 = 0",
    "if r6 == 0 goto +4\nr1 = r6\nr2 = 8\nr3 = r10\ncall 113\nr3 = 0",
    "if r6 == 0 goto +2\nr1 = r6\ncall 175\nr3 = 0",
    "r0 = 2\nexit",
    "r0 = 1\nexit",
    "call 7\nexit",
];

#[test]
fn programs_on_what_iterators_give() {
    let Some((kernel, env)) = kernel() else { return };
    let btf = env.kernel_types.clone().expect("just put there");
    let (mut wrong, mut accepted) = (Vec::new(), 0);
    for (name, args) in ITERATORS {
        let Some(id) = btf.find_by_name(Some(Kind::Func), name) else { continue };
        for arg in 1..args.len() {
            for body in AFTER {
                let insns = text(&format!("r6 = *(u64 *)(r1 + {})\n{body}\nr0 = 0\nexit", arg * 8));
                let spec = spec(AttachType::TRACE_ITER, id, insns);
                accepted +=
                    u32::from(compare(&kernel, &env, &spec, &mut wrong, &format!("{name} {arg}: {body}")));
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
    assert!(accepted > 40, "{accepted}");
}

/// Bodies of iterators over the files of tasks, with what it gives its reader in `r6` and the file or NULL in `r7`.
const READERS: &[&str] = &[
    // bpf_seq_printf: its format is read when it runs.
    "r1 = r6\nr2 = TEXT ll\nr3 = 4\nr4 = 0\nr5 = 0\ncall 126",
    "r1 = r6\nr2 = TEXT ll\nr3 = 3\nr4 = 0\nr5 = 0\ncall 126",
    "r1 = r6\nr2 = TEXT ll\nr3 = 0\nr4 = 0\nr5 = 0\ncall 126",
    "r1 = r6\nr2 = TEXT ll\nr3 = 9\nr4 = 0\nr5 = 0\ncall 126",
    "r1 = r6\nr2 = r10\nr2 += -8\nr3 = 8\nr4 = 0\nr5 = 0\ncall 126",
    "r1 = r6\nr2 = r10\nr2 += -8\nr3 = 8\nr4 = r10\nr4 += -8\nr5 = 8\ncall 126",
    "r1 = r6\nr2 = TEXT ll\nr3 = 4\nr4 = r10\nr4 += -8\nr5 = 8\ncall 126",
    "r1 = r6\nr2 = TEXT ll\nr3 = 4\nr4 = r10\nr4 += -8\nr5 = 7\ncall 126",
    "r1 = r6\nr2 = TEXT ll\nr3 = 4\nr4 = r10\nr4 += -8\nr5 = 16\ncall 126",
    "r1 = r6\nr2 = 0\nr3 = 4\nr4 = 0\nr5 = 0\ncall 126",
    "r1 = 0\nr2 = TEXT ll\nr3 = 4\nr4 = 0\nr5 = 0\ncall 126",
    "r1 = r7\nr2 = TEXT ll\nr3 = 4\nr4 = 0\nr5 = 0\ncall 126",
    // bpf_seq_write
    "r1 = r6\nr2 = r10\nr2 += -8\nr3 = 8\ncall 127",
    "r1 = r6\nr2 = r10\nr2 += -8\nr3 = 16\ncall 127",
    "r1 = r6\nr2 = r10\nr2 += -8\nr3 = 0\ncall 127",
    "r1 = r6\nr1 += 8\nr2 = r10\nr2 += -8\nr3 = 8\ncall 127",
    "if r7 == 0 goto +5\nr1 = r7\nr2 = r10\nr2 += -8\nr3 = 8\ncall 127\nr3 = 0",
    "if r7 == 0 goto +4\nr1 = r6\nr2 = r7\nr3 = 8\ncall 127\nr3 = 0",
    // bpf_seq_printf_btf
    "r1 = r6\nr2 = r10\nr2 += -8\nr3 = 8\nr4 = 0\ncall 150",
    "r1 = r6\nr2 = 0\nr3 = 0\nr4 = 0\ncall 150",
    "r1 = r6\nr2 = 0\nr3 = 8\nr4 = 0\ncall 150",
    // bpf_d_path
    "if r7 == 0 goto +6\nr1 = r7\nr1 += PATH\nr2 = r10\nr2 += -8\nr3 = 8\ncall 147\nr3 = 0",
    "if r7 == 0 goto +6\nr1 = r7\nr1 += PATH\nr2 = r10\nr2 += -8\nr3 = 16\ncall 147\nr3 = 0",
    "if r7 == 0 goto +5\nr1 = r7\nr2 = r10\nr2 += -8\nr3 = 8\ncall 147\nr3 = 0",
    "r1 = r7\nr2 = r10\nr2 += -8\nr3 = 8\ncall 147",
    "if r7 == 0 goto +5\nr1 = r7\nr1 += PATH\nr2 = TEXT ll\nr3 = 4\ncall 147\nr3 = 0",
];

#[test]
fn programs_that_iterators_give_their_reader() {
    let Some((kernel, env)) = kernel() else { return };
    let btf = env.kernel_types.clone().expect("just put there");
    let Some(id) = btf.find_by_name(Some(Kind::Func), "bpf_iter_task_file") else { return };
    let path = offset(&btf, "file", "f_path").to_string();
    let text_map = MapDef {
        flags: MapFlags(MapFlags::RDONLY_PROG),
        initial: Some(b"%d\n\0%z\n\0".to_vec()),
        frozen: true,
        ..MapDef::new(MapType::ARRAY, 4, 8, 1)
    };
    let map = kernel.create(&text_map).expect("the kernel makes the map");
    let (mut wrong, mut accepted) = (Vec::new(), 0);
    for body in READERS {
        let source = body.replace("PATH", &path).replace("TEXT", &format!("{MAP:#x}"));
        let insns = text(&format!(
            "r2 = *(u64 *)(r1 + 0)\nr6 = *(u64 *)(r2 + 0)\nr7 = *(u64 *)(r1 + 24)\n*(u64 *)(r10 - 8) = 1\n{source}\nr0 = 0\nexit"
        ));
        let value = Imm64::MapValueIdx { idx: 0, off_bytes: 0 };
        let spec = with_map(spec(AttachType::TRACE_ITER, id, insns), &text_map, value);
        accepted += u32::from(same(&kernel, &env, &spec, &map, &mut wrong, body));
    }
    assert_eq!(wrong, [""; 0]);
    assert!((8..READERS.len() as u32 - 8).contains(&accepted), "{accepted}");
}

#[test]
fn every_iterator_of_the_table_is_there() {
    let Some((_, env)) = kernel() else { return };
    let btf = env.kernel_types.expect("just put there");
    for (name, args) in ITERATORS {
        let Some(id) = btf.find_by_name(Some(Kind::Func), name) else { continue };
        let Some(Type::Func { proto, .. }) = btf.ty(id) else { panic!("{name} is no function") };
        let Some(Type::FuncProto { params, .. }) = btf.ty(*proto) else { panic!("{name} has no prototype") };
        assert_eq!(params.len(), args.len(), "{name}");
    }
}
