//! Deduplication: as many types of each kind as libbpf leaves, in the same order, and the same C.

#[path = "../../../crates/btf/tests/common/mod.rs"]
mod btf_common;
mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use btf_common::units::{Made, Unit, ground};
use libbpf_oracle::btf as oracle;
use skep_btf::dedup::dedup;
use skep_btf::{Btf, Builder, Endian};

/// Of ours and libbpf's.
struct Both {
    times: [Duration; 2],
    lens: [usize; 2],
}

/// Ours beside libbpf's, which must be the same without a base. `None` if libbpf refuses.
fn compare(what: &str, all: &[Btf], base: Option<&Arc<Btf>>) -> Option<Both> {
    let bytes: Vec<_> = all.iter().map(|b| b.to_bytes(Endian::NATIVE)).collect();
    let base_bytes = base.map(|b| b.to_bytes(Endian::NATIVE));
    let theirs = oracle::dedup(bytes.iter().map(Vec::as_slice), base_bytes.as_deref());
    let mut b = base.map_or_else(Builder::new, |b| Builder::split(b.clone()));
    for one in all {
        b.append(one).expect("stands on nothing");
    }
    let sum = b.finish().expect("right alone, so right together");
    let start = Instant::now();
    let ours = dedup(sum.clone(), []);
    let time = start.elapsed();
    let (theirs, their_time) = theirs.ok()?;
    let ours = ours.expect("nothing grows");
    assert!(ours.complete, "{what}");
    btf_common::same(&sum, &ours.btf, |id| ours.map.id(id));
    let theirs = match base {
        Some(base) => Btf::parse_split(theirs.clone(), base.clone()),
        None => Btf::parse(&theirs),
    };
    let theirs = theirs.expect("libbpf's are right");
    let rows = |btf: &Btf| -> Vec<String> {
        btf.iter_own()
            .map(|(id, t)| format!("{id} {} {}", t.kind().name(), btf.name(id).unwrap_or("")))
            .collect()
    };
    let (a, b) = (rows(&ours.btf), rows(&theirs));
    let both = Both { times: [time, their_time], lens: [a.len(), b.len()] };
    if base.is_some() {
        // libbpf 1.7 does not find a base's typedefs (it hashes them with their targets there, and without here),
        // nor what refers to them.
        return Some(both);
    }
    let differ: Vec<_> = (0..a.len().max(b.len())).filter(|&i| a.get(i) != b.get(i)).take(5).collect();
    let differ: Vec<_> = differ.iter().map(|&i| (a.get(i), b.get(i))).collect();
    assert!(differ.is_empty(), "{what}: ours, libbpf's: {differ:#?}\n{:#?}", kinds(&ours.btf, &theirs));
    let [a, b] = [&ours.btf, &theirs].map(|b| oracle::to_c(&b.to_bytes(Endian::NATIVE)));
    assert!(a == b, "{what}: the C differs");
    Some(both)
}

/// Kinds of which there are not as many.
fn kinds(ours: &Btf, theirs: &Btf) -> BTreeMap<&'static str, (u32, u32)> {
    let mut out: BTreeMap<_, (u32, u32)> = BTreeMap::new();
    ours.iter_own().for_each(|(_, t)| out.entry(t.kind().name()).or_default().0 += 1);
    theirs.iter_own().for_each(|(_, t)| out.entry(t.kind().name()).or_default().1 += 1);
    out.retain(|_, (a, b)| a != b);
    out
}

fn kernel() -> Option<Btf> {
    let path = Path::new("/sys/kernel/btf/vmlinux");
    match std::fs::read(path) {
        Ok(bytes) => Some(Btf::parse(&bytes).expect("the kernel's own BTF is right")),
        Err(e) => {
            println!("skipped: {}: {e}", path.display());
            None
        }
    }
}

#[test]
fn the_kernel_s_types_twice() {
    let Some(btf) = kernel() else { return };
    let both = compare("vmlinux twice", &[btf.clone(), btf.clone()], None).expect("libbpf takes them");
    println!("{} types twice: ours, libbpf's {:?}", btf.len(), both.times);
    let base = Arc::new(btf.clone());
    let both = compare("vmlinux on itself", &[btf], Some(&base)).expect("libbpf takes them");
    println!("on themselves: ours, libbpf's {:?}, left {:?}", both.times, both.lens);
    assert!(both.lens[0] < 400, "only variables and sections stay");
}

/// Every object of the corpus in one, as a linker would have it, alone and on the kernel's types.
#[test]
fn the_corpus() {
    if let Err(why) = common::ready() {
        return println!("skipped: {why}");
    }
    let mut all = Vec::new();
    for folder in ["programs", "targets", "externs", "features"] {
        if !Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(folder).exists() {
            continue;
        }
        for source in common::sources(folder) {
            let (name, path) = common::compile(&source, "v4");
            let bytes = std::fs::read(&path).expect("just written");
            let Ok(Some(section)) = skep_object::btf_section(&name, &bytes) else { continue };
            all.push(Btf::parse(section).expect("clang's BTF is right"));
        }
    }
    assert!(all.len() > 30, "the corpus has types");
    for (i, one) in all.iter().enumerate() {
        compare("one", std::slice::from_ref(one), None).expect("libbpf takes it");
        compare("two", &[one.clone(), all[(i * 7 + 3) % all.len()].clone()], None)
            .expect("libbpf takes them");
    }
    compare("all", &all, None).expect("libbpf takes them");
    if let Some(kernel) = kernel() {
        let both = compare("all on the kernel's", &all, Some(&Arc::new(kernel))).expect("libbpf takes them");
        assert!(both.lens[0] <= both.lens[1]);
    }
    println!("{} objects, alone, in pairs, together and on the kernel's types", all.len());
}

/// Sources made at random, in units that declare what others define.
#[test]
fn made_up_sources() {
    let mut seed = 0x2545_f491_4f6c_dd1du64;
    let mut random = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let mut refused = 0;
    for round in 0..3000 {
        let source = (0..12)
            .map(|_| {
                let mut to = || random(12) as usize;
                match to() {
                    0..=4 => Made::Struct((0..to() % 4).map(|_| to()).collect(), to() == 0),
                    5 | 6 => Made::Typedef(to()),
                    7 => Made::Enum(to() as u8 % 3),
                    8 | 9 => Made::Proto((0..to() % 3).map(|_| to()).collect()),
                    10 => Made::Array(to(), to() as u8 % 3),
                    _ => Made::Const(to()),
                }
            })
            .collect();
        let source = ground(source);
        let units: Vec<_> = (0..1 + random(4))
            .map(|_| Unit::compile(&source, random(1 << 16) as u16, random(1 << 16) as u16, None))
            .collect();
        refused += u32::from(compare(&format!("round {round}"), &units, None).is_none());
        let base = Arc::new(dedup(units[0].clone(), []).expect("one unit").btf);
        compare(&format!("round {round} on a base"), &units[1..], Some(&base));
    }
    println!("3000 sources, {refused} refused by libbpf");
    assert!(refused < 300);
}
