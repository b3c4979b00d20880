//! Damage at random: real objects with bits flipped, fields overwritten, parts cut and copied. Nothing may panic,
//! run away or make programs that refer to what is not there.
//!
//! `SKEP_MUTATIONS=5000000` sets how many; 20,000 by default.

mod common;

use common::{all_paths, fixture_path, read};
use skep_btf::print::{Options, format_value};
use skep_btf::relo::TargetBtf;
use skep_btf::{Btf, Endian, TypeId};
use skep_object::{Inputs, Object, Unlinked, btf_section, static_link};

/// xorshift64*: the same damage in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

/// Numbers at the edges of what fields hold.
const EDGES: [u64; 12] =
    [0, 1, 7, 8, 0x7f, 0xff, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, i64::MAX as u64, u64::MAX];

fn damage(bytes: &mut Vec<u8>, r: &mut Random) {
    // Tables decide more than contents do: half of the damage goes into the section headers.
    let headers = usize::from_le_bytes(bytes[0x28..0x30].try_into().unwrap()).min(bytes.len());
    for _ in 0..1 + r.below(4) {
        let at = match r.below(4) {
            0 => headers + r.below(bytes.len() - headers),
            1 => r.below(64),
            _ => r.below(bytes.len()),
        };
        let at = at.min(bytes.len().saturating_sub(1));
        let rest = bytes.len() - at;
        match r.below(7) {
            0 | 1 => bytes[at] ^= 1 << r.below(8),
            2 => bytes[at] = r.next() as u8,
            3 | 4 => {
                let len = [1, 2, 4, 8][r.below(4)].min(rest);
                let edge = EDGES[r.below(EDGES.len())].to_le_bytes();
                bytes[at..at + len].copy_from_slice(&edge[..len]);
            }
            // Sizes and offsets that are a little wrong, and still whole instructions.
            5 if rest >= 16 => {
                let at = at & !7;
                let v = u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
                let v = v.wrapping_add(8 * 8).wrapping_sub(8 * r.below(64) as u64);
                bytes[at..at + 8].copy_from_slice(&v.to_le_bytes());
            }
            _ => {
                let len = r.below(64).min(rest);
                let from = r.below(bytes.len() - len);
                bytes.copy_within(from..from + len, at);
            }
        }
    }
    if r.below(20) == 0 {
        let len = r.below(bytes.len());
        bytes.truncate(len.max(64));
    }
}

/// Looks at all that an object offers.
fn exercise(o: &Object) {
    for p in &o.programs {
        let s = match &p.spec {
            Ok(s) => s,
            Err(e) => {
                assert!(!e.to_string().is_empty());
                continue;
            }
        };
        assert!(s.func_info.iter().all(|f| (f.insn_off as usize) < s.insns.len()));
        assert!(s.line_info.iter().all(|l| (l.insn_off as usize) < s.insns.len()));
        let mut pc = 0;
        while let Some(insn) = s.insns.get(pc) {
            if insn.is_wide() {
                pc += 1;
                assert!(pc < s.insns.len(), "{}: half an LDDW", p.name);
                assert!(
                    !s.func_info.iter().any(|f| f.insn_off as usize == pc),
                    "{}: it spans functions",
                    p.name
                );
            }
            pc += 1;
        }
        let _ = skep_isa::decode_all(&s.insns);
    }
    for m in &o.maps {
        let Ok(def) = &m.def else { continue };
        assert!(m.slots.len() < 10_000);
        if let (Some(btf), Some(initial)) = (&def.btf, &def.initial) {
            let options = Options { endian: Endian::Little, max_nodes: 10_000 };
            let _ = format_value(btf, TypeId(def.value_btf_id), initial, &options);
        }
    }
}

#[test]
fn damaged_objects() {
    let count: usize = std::env::var("SKEP_MUTATIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(20_000);
    let files: Vec<_> = all_paths().into_iter().map(|p| (read(&p), p)).collect();
    let mut r = Random(0x5eed_0f5e_ed0f_5eed);
    let target = target(&read(&fixture_path("core/moved.target.o"))).expect("right");
    let (mut accepted, mut refused) = (0, 0);
    for i in 0..count {
        let (whole, path) = &files[i % files.len()];
        let mut bytes = whole.clone();
        damage(&mut bytes, &mut r);
        let start = std::time::Instant::now();
        match Unlinked::parse_any_endian("damaged.o", &bytes).and_then(|u| {
            exercise(&u.link(&Inputs::default())?);
            u.link(&Inputs { target: Some(&target), ..Inputs::default() })
        }) {
            Ok(o) => {
                exercise(&o);
                accepted += 1;
            }
            Err(e) => {
                assert!(e.to_string().starts_with("damaged.o: "), "{e}");
                refused += 1;
            }
        }
        assert!(start.elapsed().as_secs() < 5, "mutation {i} of {} takes too long", path.display());
    }
    println!("{accepted} accepted, {refused} refused");
    // The damage must be neither invisible nor always fatal, or the test shows nothing.
    assert!(accepted > count / 20 && refused > count / 20, "{accepted} accepted, {refused} refused");
}

/// Damaged files, linked with whole ones: what comes out is read again, and an error names the file that is damaged or
/// one that does not fit it.
#[test]
fn damaged_files_to_link() {
    let count: usize =
        std::env::var("SKEP_MUTATIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(20_000) / 4;
    let half = |n: &str| read(&fixture_path(&format!("link/{n}.bpf.o")));
    let halves = [half("main"), half("lib")];
    let others: Vec<_> = all_paths().into_iter().map(|p| read(&p)).collect();
    let mut r = Random(0x11c0_11c0_11c0_11c1);
    let (mut linked, mut refused) = (0, 0);
    for i in 0..count {
        // The two that belong together, in either order, or any alone.
        let which = r.below(2);
        let (mut bytes, whole) = match r.below(4) {
            0 => (others[r.below(others.len())].clone(), None),
            _ => (halves[which].clone(), Some(&halves[1 - which])),
        };
        damage(&mut bytes, &mut r);
        let mut files = vec![("damaged.o", &bytes[..])];
        if let Some(whole) = whole {
            files.insert(r.below(2), ("whole.o", whole));
        }
        let start = std::time::Instant::now();
        match static_link(&files) {
            Ok(out) => {
                linked += 1;
                assert!(out.len() < 64 * (bytes.len() + 0x10000), "{} bytes of {}", out.len(), bytes.len());
                match Object::parse_any_endian("linked.o", &out) {
                    Ok(o) => exercise(&o),
                    // Where a section's contents are taken as they are: text of the licence, map definitions.
                    Err(e) => assert!(e.to_string().starts_with("linked.o: "), "{e}"),
                }
            }
            Err(e) => {
                let text = e.to_string();
                assert!(text.starts_with("damaged.o: ") || text.starts_with("whole.o: "), "{text}");
                refused += 1;
            }
        }
        assert!(start.elapsed().as_secs() < 5, "mutation {i} takes too long");
    }
    println!("{linked} linked, {refused} refused");
    assert!(linked > count / 20 && refused > count / 20, "{linked} linked, {refused} refused");
}

fn target(object: &[u8]) -> Option<TargetBtf> {
    let section = btf_section("target", object).ok()??;
    Btf::parse(section).ok().map(Into::into)
}

/// Damage where CO-RE looks: types and strings of the program and of the target, and the records between them.
/// Errors name the section, the record and the type.
#[test]
fn damaged_relocations() {
    let count: usize = std::env::var("SKEP_MUTATIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(20_000);
    let core = |p: &std::path::PathBuf| p.parent().is_some_and(|d| d.ends_with("core"));
    let (targets, programs): (Vec<_>, Vec<_>) = all_paths()
        .into_iter()
        .filter(core)
        .map(|p| (read(&p), p))
        .partition(|(_, p)| p.to_string_lossy().ends_with(".target.o"));
    assert!(targets.len() > 1 && programs.len() > 5, "the fixtures are there");
    let mut r = Random(0x0c0d_e0c0_de0c_0de1);
    let (mut whole, mut spoiled, mut refused, mut poisoned) = (0, 0, 0, 0);
    for i in 0..count {
        let (mut program, _) = programs[r.below(programs.len())].clone();
        let (mut target_bytes, _) = targets[r.below(targets.len())].clone();
        // `.BTF` and `.BTF.ext` open with this number.
        let magic: Vec<_> =
            (0..program.len() - 4).filter(|&at| program[at..at + 4] == [0x9f, 0xeb, 1, 0]).collect();
        let [btf, ext] = magic[..] else { panic!("two sections, not {magic:x?}") };
        let u32_at = |b: &[u8], at: usize| u32::from_le_bytes(b[at..at + 4].try_into().unwrap()) as usize;
        let relos = ext + 32 + u32_at(&program, ext + 24);
        match r.below(4) {
            // A word of a record: instruction, type, access, kind.
            0 | 1 => {
                let words = u32_at(&program, ext + 28) / 4;
                let at = relos + r.below(words) * 4;
                let word = match r.below(3) {
                    0 => r.next() as u32 & 0xff,
                    1 => EDGES[r.below(EDGES.len())] as u32,
                    _ => (u32_at(&program, at) as u32).wrapping_add(r.below(17) as u32).wrapping_sub(8),
                };
                program[at..at + 4].copy_from_slice(&word.to_le_bytes());
            }
            // A word or a digit of the types and strings: access strings among them.
            2 => {
                let at = btf + 24 + r.below(ext.saturating_sub(btf + 24));
                program[at] = match r.below(3) {
                    0 => b"0123456789:-"[r.below(12)],
                    1 => program[at].wrapping_add(1),
                    _ => r.next() as u8,
                };
            }
            _ => {
                let btf = target_bytes.windows(4).position(|w| w == [0x9f, 0xeb, 1, 0]).expect("types");
                for _ in 0..1 + r.below(3) {
                    let at = btf + 24 + r.below(target_bytes.len() - btf - 24);
                    target_bytes[at] =
                        if r.below(2) == 0 { r.next() as u8 & 31 } else { target_bytes[at] ^ 1 };
                }
            }
        }
        let start = std::time::Instant::now();
        let Some(target) = target(&target_bytes) else {
            refused += 1;
            continue;
        };
        let linked = Unlinked::parse_any_endian("damaged.o", &program)
            .and_then(|u| u.link(&Inputs { target: Some(&target), ..Inputs::default() }));
        match linked {
            Ok(o) => {
                exercise(&o);
                let errors = o.programs.iter().filter_map(|p| p.spec.as_ref().err());
                for e in errors.clone().filter(|e| e.message().contains("CO-RE relocation")) {
                    let text = e.to_string();
                    let place = ["function \"", "instruction ", " of section \""];
                    assert!(place.iter().all(|p| text.contains(p)), "{text}");
                }
                if errors.count() > 0 {
                    spoiled += 1
                } else {
                    whole += 1
                }
                poisoned += o.programs.iter().flat_map(|p| &p.spec).map(|s| s.poisoned.len()).sum::<usize>();
            }
            Err(_) => refused += 1,
        }
        assert!(start.elapsed().as_secs() < 5, "mutation {i} takes too long");
    }
    println!("{whole} whole, {spoiled} spoiled, {refused} refused, {poisoned} instructions poisoned");
    assert!([whole, spoiled, refused, poisoned].iter().all(|&n| n > count / 50));
}
