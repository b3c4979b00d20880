//! Fuzz targets: one function a parser, which must survive any bytes.
//!
//! `fuzz/` wraps them for libFuzzer; [`campaign`] feeds them without a nightly compiler. A target panics when
//! a promise is broken, and returns otherwise.

pub mod campaign;
pub mod seeds;

use std::sync::{Arc, OnceLock};

use skep_abi::MapType;
use skep_btf::dedup::dedup;
use skep_btf::relo::{CoreKind, Minimal, TargetBtf};
use skep_btf::{Btf, Builder, Endian, dump, print};
use skep_isa::text::Dialect;
use skep_isa::{Insn, decode_all};
use skep_object::{Inputs, Object, Unlinked};
use skep_spec::{Environment, MapDef, ProgramSpec};
use skep_verifier::{Options, verify};

use crate::oracle::{Input, Oracle, Privilege, interpreter::Interpreter};

/// Takes any bytes and returns, or panics where a promise is broken.
pub type Target = fn(&[u8]);

/// The targets by name.
pub const TARGETS: &[(&str, Target)] =
    &[("elf", elf), ("btf", btf), ("core", core_relocations), ("insns", insns), ("pcap", pcap)];

/// An object file: parsing gives an object or an error; what loads is put before the verifier.
pub fn elf(data: &[u8]) {
    let object = match Object::parse_any_endian("fuzz.o", data) {
        Ok(object) => object,
        Err(e) => return assert!(!e.to_string().is_empty()),
    };
    if let Ok(linked) = skep_object::static_link(&[("fuzz.o", data)]) {
        let _ = Object::parse_any_endian("linked.o", &linked);
    }
    let (env, options) = (Environment::default(), Options { log_level: 1, ..Options::default() });
    for program in &object.programs {
        match &program.spec {
            Ok(spec) if spec.insns.len() < 4096 => {
                if let Err(rejection) = verify(spec, &env, &options) {
                    assert!(!rejection.explain().is_empty());
                }
            }
            Ok(_) => {}
            Err(e) => assert!(!e.to_string().is_empty()),
        }
    }
}

/// A `.BTF` section: what parses survives writing, every type can be looked at, all can be C, and put together twice
/// they become no more than they were.
pub fn btf(data: &[u8]) {
    let Ok(btf) = Btf::parse(data) else { return };
    for endian in [Endian::Little, Endian::Big] {
        let again = Btf::parse(&btf.to_bytes(endian)).expect("what was written parses");
        assert_eq!(again, btf, "writing and reading back changes the types");
    }
    let zeros = [0; 512];
    let options = print::Options { max_nodes: 4096, ..print::Options::default() };
    for (id, _) in btf.iter() {
        let _ = (btf.name(id), btf.resolve(id));
        if btf.size_of(id).is_some_and(|size| size <= 512) {
            let _ = print::format_value(&btf, id, &zeros, &options);
        }
    }
    let _ = dump::to_c(&btf);
    let mut both = Builder::new();
    for _ in 0..2 {
        both.append(&btf).expect("it stands on no base, and its strings are short");
    }
    let both = both.finish().expect("right alone, so right together");
    if let Ok(done) = dedup(both, []) {
        let again = Btf::parse(&done.btf.to_bytes(Endian::Little)).expect("what was written parses");
        assert!(again == done.btf && again.len() < 2 * btf.len(), "types have become more");
    }
}

/// An object, relocated against its own types and against the part of them that it needs; or types that a sound object
/// is relocated against.
pub fn core_relocations(data: &[u8]) {
    let sound;
    let (object, types) = if data.starts_with(b"\x7fELF") {
        (data, None)
    } else {
        static SOUND: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
        let all = SOUND.get_or_init(seeds::core_objects);
        sound = &all[data.len() % all.len()];
        let Ok(types) = Btf::parse(data) else { return };
        (&sound[..], Some(types))
    };
    let Ok(unlinked) = Unlinked::parse_any_endian("fuzz.o", object) else { return };
    let Some(local) = unlinked.btf() else { return };
    let whole = types.unwrap_or_else(|| (**local).clone());
    let mut minimal = Minimal::new(&whole);
    let enough = minimal.add(local, unlinked.core_relos()).is_ok();
    let part = minimal.finish();
    assert_eq!(Btf::parse(&part.to_bytes(Endian::Big)).expect("what was written parses"), part);
    let count = |types: Btf| {
        let target = TargetBtf::from(types);
        let object = unlinked.link(&Inputs { target: Some(&target), ..Inputs::default() }).ok()?;
        Some(object.programs.iter().filter(|p| p.spec.is_ok()).count())
    };
    let (whole, part) = (count(whole), count(part));
    // Externs with a type are not in the part, and ids are others: another relocation of the instruction may see one.
    let externs = unlinked.externs().iter().next().is_some();
    let ids = unlinked.core_relos().any(|r| CoreKind::from_raw(r.kind) == Some(CoreKind::TypeIdTarget));
    assert!(
        !enough || externs || ids || whole == part,
        "{whole:?} programs against the whole, {part:?} against the part"
    );
}

/// An instruction stream behind a byte for the program type: decoded, printed, verified, and run whatever the
/// verdict. A program that the verifier accepts must not fault.
pub fn insns(data: &[u8]) {
    let Some((&kind, code)) = data.split_first() else { return };
    let insns: Vec<Insn> = code
        .chunks_exact(8)
        .take(512)
        .map(|c| Insn::from_bytes(c.try_into().expect("chunks of 8 bytes"), skep_isa::Endian::Little))
        .collect();
    for op in decode_all(&insns).map_while(Result::ok) {
        for dialect in [Dialect::Kernel, Dialect::Clang] {
            assert!(!op.1.text(dialect).to_string().is_empty());
        }
        assert!(op.1.try_encode().is_ok(), "what was decoded encodes: {:?}", op.1);
    }
    let prog_type = seeds::PROGRAM_TYPES[kind as usize % seeds::PROGRAM_TYPES.len()];
    let spec = ProgramSpec { maps: maps(), ..ProgramSpec::new(prog_type, insns) };
    let input = match prog_type {
        // The verifier lets it name any offset up to the largest context.
        skep_abi::ProgramType::SYSCALL => Input { data: Vec::new(), ctx: vec![0; usize::from(u16::MAX)] },
        _ => Input { data: vec![0x45; 64], ctx: Vec::new() },
    };
    // Runs verified, or unverified where the verifier has no opinion; a rejection ends here.
    let Ok(outcome) = Interpreter.run(&spec, Privilege::Privileged, &[input]) else { return };
    if !outcome.unverified
        && let Some(fault) = outcome.runs.iter().find_map(|r| r.fault.as_ref())
    {
        // Long loops may end by fuel, and a word may begin in the context's last bytes: whose fault that is the
        // verifier cannot know.
        let excused = ["fuel", "instructions", "is too short"];
        assert!(excused.iter().any(|e| fault.contains(e)), "accepted, but: {fault}\n{spec:?}");
    }
}

/// The maps that the slots may name.
fn maps() -> Vec<Arc<MapDef>> {
    [
        MapDef::new(MapType::ARRAY, 4, 152, 1).named("single"),
        MapDef::new(MapType::ARRAY, 4, 16, 4).named("array"),
        MapDef::new(MapType::HASH, 8, 16, 4).named("hash"),
        MapDef::new(MapType::PERCPU_ARRAY, 4, 16, 4).named("percpu_array"),
        MapDef::new(MapType::PERCPU_HASH, 8, 16, 4).named("percpu_hash"),
        MapDef::new(MapType::RINGBUF, 0, 0, 4096).named("ring"),
    ]
    .map(Arc::new)
    .into()
}

/// A capture file: every whole packet comes out within bounds, then the end, a cut or an error.
pub fn pcap(data: &[u8]) {
    let mut bytes = 0usize;
    let result = skep_user::source::capture::read(data, |packet| bytes += packet.data.len());
    // Compressed formats there are none: packets cannot hold more than the file.
    assert!(bytes <= data.len(), "{bytes} bytes of packets out of {}", data.len());
    if let Err(e) = result {
        assert!(!e.to_string().is_empty());
    }
}
