//! Questions to clang about a header, made from BTF.
#![allow(dead_code, reason = "each test file uses some")]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use skep_btf::{Btf, Type, TypeId};
use skep_object::btf_section;

/// A folder of this test's own.
fn folder() -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("dump");
    std::fs::create_dir_all(&dir).expect("a folder");
    dir
}

pub fn clang_is_missing() -> Option<String> {
    match Command::new("clang-19").arg("--version").output() {
        Ok(out) if out.status.success() => None,
        Ok(out) => Some(format!("clang-19 ended with {}", out.status)),
        Err(e) => Some(format!("clang-19: {e}")),
    }
}

/// Compiles C for bpf and gives the BTF of the object.
pub fn compile(name: &str, text: &str) -> Btf {
    let object = folder().join(format!("{name}.o"));
    clang(name, text, &["-g", "-c", "-o", object.to_str().expect("UTF-8")]);
    let bytes = std::fs::read(object).expect("just written");
    Btf::parse(btf_section(name, &bytes).expect("an object").expect("with BTF"))
        .expect("clang's BTF is right")
}

pub fn clang(name: &str, text: &str, more: &[&str]) {
    let source = folder().join(format!("{name}.c"));
    std::fs::write(&source, text).expect("writable");
    let flags = [
        "-target",
        "bpf",
        "-O1",
        "-Wall",
        "-Werror",
        "-Wno-ignored-attributes",
        "-Wno-unused",
        "-Wno-visibility",
    ];
    let out =
        Command::new("clang-19").args(flags).args(more).arg(&source).output().expect("clang-19 was there");
    let errors = String::from_utf8_lossy(&out.stderr);
    assert!(
        out.status.success(),
        "{}: {}",
        source.display(),
        errors.lines().take(40).collect::<Vec<_>>().join("\n")
    );
}

/// Named structs, unions and enums whose name no other type has.
pub fn unique(btf: &Btf) -> Vec<(TypeId, &'static str, &str)> {
    let mut count: BTreeMap<&str, u32> = BTreeMap::new();
    let word = |t: &Type| match t {
        Type::Struct { .. } => Some("struct"),
        Type::Union { .. } => Some("union"),
        Type::Enum { values, .. } | Type::Enum64 { values, .. } if !values.is_empty() => Some("enum"),
        _ => None,
    };
    let named = || btf.iter().filter(|(_, t)| !t.name().is_none());
    named()
        .filter(|(_, t)| word(t).is_some())
        .for_each(|(_, t)| *count.entry(btf.str(t.name())).or_default() += 1);
    named()
        .filter_map(|(id, t)| Some((id, word(t)?, btf.str(t.name()))))
        .filter(|(.., n)| count[n] == 1)
        .collect()
}

/// Sizes of all types, and offsets of all fields that have one, for the compiler to check. Gives their number too.
pub fn assertions(btf: &Btf, asked: impl Fn(TypeId) -> bool) -> (String, usize) {
    let (mut out, mut count) =
        (String::from("#define at(t, m, n) _Static_assert(__builtin_offsetof(t, m) == n, #t)\n"), 0);
    for (id, word, name) in unique(btf) {
        let Some(size) = btf.size_of(id).filter(|_| asked(id)) else { continue };
        writeln!(out, "_Static_assert(sizeof({word} {name}) == {size}, \"{name}\");").unwrap();
        count += 1;
        // Those of anonymous members are found from the outside.
        let mut open = vec![(id, 0)];
        while let Some((id, base)) = open.pop() {
            for m in btf.resolved(id).members() {
                match btf.str(m.name) {
                    "" => open.push((m.ty, base + m.off_bits / 8)),
                    _ if m.bitfield_bits != 0 => {}
                    field => {
                        writeln!(out, "at({word} {name}, {field}, {});", base + m.off_bits / 8).unwrap();
                        count += 1;
                    }
                }
            }
        }
    }
    (out, count)
}

/// Whether a value of this type has a `va_list` in it, of which compilers have their own.
pub fn holds_va_list(btf: &Btf, id: TypeId) -> bool {
    match btf.ty(id) {
        Some(Type::Typedef { name, .. }) if btf.str(*name) == "__builtin_va_list" => true,
        Some(Type::Array { element, .. }) => holds_va_list(btf, *element),
        Some(t) => {
            t.modified().is_some_and(|id| holds_va_list(btf, id))
                || t.members().iter().any(|m| holds_va_list(btf, m.ty))
        }
        None => false,
    }
}
