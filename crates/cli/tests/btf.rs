//! `skep btf`, and `--btf` for CO-RE.

mod common;

use std::process::Command;

use serde_json::Value as Json;

use common::{Scratch, code, line, root, run, stderr, stdout};

const FIXTURES: &str = "crates/object/tests/fixtures";

/// bpftool's output, if it can be had.
fn bpftool(args: &[&str]) -> Option<String> {
    let out = Command::new("bpftool").current_dir(root()).args(args).output().ok()?;
    out.status.success().then(|| String::from_utf8(out.stdout).expect("text"))
}

/// bpftool's JSON. It prints unsigned enumerators above 2^31 as if they had 64 bits (7.1).
fn types(text: &str) -> Vec<Json> {
    let mut all: Json = serde_json::from_str(text).expect("JSON");
    let types = all["types"].as_array_mut().expect("a list");
    for t in types.iter_mut().filter(|t| t["kind"] == "ENUM" && t["encoding"] == "UNSIGNED") {
        for v in t["values"].as_array_mut().expect("a list") {
            v["val"] = (v["val"].as_u64().expect("a number") & 0xffff_ffff).into();
        }
    }
    types.clone()
}

#[test]
fn raw_and_json_are_bpftool_s() {
    let kernel = "/sys/kernel/btf/vmlinux";
    let files =
        ["maps.bpf.o", "linking.bpf.o", "core/types.bpf.o", "core/moved.target.o", "core/enums.bpf.o"];
    let mut files: Vec<String> = files.iter().map(|f| format!("{FIXTURES}/{f}")).collect();
    files.push(kernel.into());
    for file in files.iter().filter(|f| root().join(f).exists()) {
        let raw = run(["btf", "dump", "file", file]);
        assert_eq!(code(&raw), 0, "{}", stderr(&raw));
        assert!(stdout(&raw).starts_with("[1] "), "{file}");
        let (Some(want), Some(want_json)) =
            (bpftool(&["btf", "dump", "file", file]), bpftool(&["-j", "btf", "dump", "file", file]))
        else {
            println!("skipped: no bpftool that reads {file}");
            continue;
        };
        let got = stdout(&raw);
        let differ = want.lines().zip(got.lines()).find(|(w, g)| w != g);
        assert!(want == got, "{file}: bpftool and we: {differ:?}");
        let json = stdout(&run(["btf", "dump", "file", file, "-j"]));
        assert!(types(&json) == types(&want_json), "{file}: JSON differs");
    }
}

/// Types that clang 19 does not write, or seldom: all sizes of floating point, enums of 64 bits, tags of both kinds.
fn rare_types() -> skep::btf::Btf {
    use skep::btf::{Builder, EnumValue, IntEncoding, Type};
    let mut b = Builder::new();
    let int = b.int("int", 4, IntEncoding::Signed);
    let names = ["half", "float", "double", "extended", "long double"].map(|n| b.name(n));
    let floats = [2, 4, 8, 12, 16].into_iter().zip(names).map(|(size, name)| Type::Float { name, size });
    let floats: Vec<_> = floats.map(|t| b.add(t)).collect();
    for (name, signed, size) in [("unsigned64", false, 8), ("signed64", true, 8), ("small64", false, 4)] {
        let values = [("ZERO", 0), ("TOP", if size == 8 { i64::MIN } else { 1 << 31 }), ("ONES", -1)];
        let take = if size == 8 { 3 } else { 2 };
        let values = values[..take]
            .iter()
            .map(|&(n, value)| EnumValue { name: b.name(&format!("{name}_{n}")), value })
            .collect();
        let name = b.name(name);
        b.add(Type::Enum64 { name, size, signed, values });
    }
    b.enumeration("signed32", true, &[("LOW", i32::MIN.into()), ("NONE", 0), ("HIGH", 5)]);
    let pair = b.structure("pair", 16, &[("a", int, 0), ("b", floats[2], 64)]);
    let (user, noderef, tagged) = (b.name("user"), b.name("noderef"), b.name("tagged"));
    let plain = b.add(Type::TypeTag { name: user, target: int, attribute: false });
    let attribute = b.add(Type::TypeTag { name: noderef, target: plain, attribute: true });
    let pointer = b.ptr(attribute);
    b.typedef("pointer_t", pointer);
    for (component, attribute) in [(None, false), (Some(1), false), (None, true)] {
        b.add(Type::DeclTag { name: tagged, target: pair, component, attribute });
    }
    b.finish().expect("legal types")
}

#[test]
fn rare_types_are_written() {
    let scratch = Scratch::new();
    let bytes = rare_types().to_bytes(skep::btf::Endian::NATIVE);
    let file = scratch.file("rare.btf", &bytes);
    let raw = run(["btf", "dump", "file", &file, "format", "raw"]);
    assert_eq!(code(&raw), 0, "{}", stderr(&raw));
    let text = stdout(&raw);
    for part in [
        "FLOAT 'half' size=2",
        "FLOAT 'long double' size=16",
        "ENUM64 'signed64' encoding=SIGNED size=8",
        "'unsigned64_ONES' val=18446744073709551615ULL",
        "'signed64_TOP' val=-9223372036854775808LL",
        "DECL_TAG 'tagged' type_id=11 component_idx=1",
        "TYPE_TAG 'noderef'",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let c = stdout(&run(["btf", "dump", "file", &file, "format", "c"]));
    for part in [
        "signed64_TOP = (-9223372036854775807LL - 1)",
        "__attribute__((btf_type_tag(\"user\")))",
        "__attribute__((noderef))",
        "double b;",
        "enum signed32",
    ] {
        assert!(c.contains(part), "{part}: {c}");
    }
}

#[test]
fn c_is_a_header() {
    let file = format!("{FIXTURES}/core/moved.target.o");
    let out = line(&format!("btf dump file {file} format c"));
    let text = stdout(&out);
    assert_eq!(code(&out), 0, "{}", stderr(&out));
    assert!(
        text.starts_with("#ifndef __VMLINUX_H__\n") && text.contains("struct pair {\n\tu64 pad;\n\tint y;"),
        "{text}"
    );
    let one = stdout(&line(&format!("btf dump file {file} root_id 1 format c")));
    assert!(!one.contains("#ifndef"), "{one}");
}

#[test]
fn wrong_words_and_files() {
    for (args, want) in [
        ("format", "`format` wants a value"),
        ("format rust", "`rust` is no format: c and raw are"),
        ("colour red", "`colour` is no word of `btf dump`"),
        ("root_id x", "`x` is no type id"),
        ("root_id 99999", "has no type [99999]"),
        ("format c -j", "C and JSON do not go together"),
    ] {
        let out = line(&format!("btf dump file {FIXTURES}/maps.bpf.o {args}"));
        assert!(code(&out) == 2 && stderr(&out).contains(want), "{args}: {}", stderr(&out));
    }
    let out = line("btf dump file README.md");
    assert!(code(&out) == 2 && stderr(&out).contains("`README.md`: BTF header: magic"), "{}", stderr(&out));
    let out = line(&format!("btf dump file {FIXTURES}/host.o"));
    assert!(
        code(&out) == 2 && stderr(&out).contains("has no section .BTF: compile with -g"),
        "{}",
        stderr(&out)
    );
}

/// The same program on two machines: on one a field is there, on the other it is not.
#[test]
fn programs_are_checked_for_a_target() {
    let scratch = Scratch::new();
    let program = format!("{FIXTURES}/core/missing.bpf.o");
    let check = |target: &str| {
        let out = run(["check", "--btf", target, &program]);
        (code(&out), stdout(&out), stderr(&out))
    };
    let (status, text, errors) = check(&format!("{FIXTURES}/core/moved.target.o"));
    assert_eq!(status, 1, "{errors}");
    assert!(text.contains("the target has nothing for byte_off of struct absent.x"), "{text}");
    assert!(text.contains("the target has nothing for enumval_value of enum color::ULTRAVIOLET"), "{text}");
    assert!(!text.contains("it needs the types of the machine"), "{text}");
    // One that reads nothing but asks what there is.
    let zero = text.lines().find(|l| l.contains(": zero ")).expect("its verdict");
    assert!(zero.starts_with("accepted"), "{zero}");

    let nothing = scratch.path("nothing.btf");
    std::fs::write(&nothing, b"not BTF at all").expect("writable");
    let (status, _, errors) = check(nothing.to_str().expect("UTF-8"));
    assert!(status == 2 && errors.contains("BTF header: magic"), "{errors}");
    let (status, _, errors) = check("no-such-file");
    assert!(status == 2 && errors.contains("cannot read `no-such-file`"), "{errors}");
}

/// A program comes out of the minimal types as out of the whole, with the same messages.
#[test]
fn minimal_types_are_enough() {
    let scratch = Scratch::new();
    let (target, min) = (format!("{FIXTURES}/core/moved.target.o"), scratch.path("min.btf"));
    let min = min.to_str().expect("UTF-8");
    for name in ["missing", "fields", "types", "bitfields", "enums", "resize"] {
        let program = format!("{FIXTURES}/core/{name}.bpf.o");
        let made = run(["btf", "min", &program, "-o", min, "--btf", &target]);
        assert_eq!((code(&made), stdout(&made)), (0, String::new()), "{}", stderr(&made));
        // Without the numbers, since times and ids are others. What instructions hold is compared with libbpf's.
        let check = |btf: &str| -> String {
            let text = stdout(&run(["check", "--btf", btf, &program]));
            let lines = text.lines().map(|l| l.split(" insns processed").next().unwrap_or(l));
            lines.flat_map(str::chars).filter(|c| !c.is_ascii_digit()).collect()
        };
        assert_eq!(check(min), check(&target), "{name}");
        let text = stdout(&run(["btf", "dump", "file", min]));
        assert!(!text.is_empty() && !text.contains("] FUNC '"), "{text}");
    }
    let out = run(["btf", "min", "README.md", "-o", min, "--btf", &target]);
    assert!(code(&out) == 2 && stderr(&out).contains("README.md"), "{}", stderr(&out));
}

/// Without `--btf` it is the running kernel that programs are for, in this process and in the kernel.
#[test]
fn the_running_kernel_is_the_default_target() {
    if !std::path::Path::new("/sys/kernel/btf/vmlinux").exists() {
        return println!("skipped: this kernel does not show its types");
    }
    let program = format!("{FIXTURES}/core/missing.bpf.o");
    let out = run(["check", &program]);
    assert!(
        stdout(&out).contains("accepted  crates/object/tests/fixtures/core/missing.bpf.o: zero"),
        "{}",
        stdout(&out)
    );
    let out = run(["check", "--linux", &program]);
    if stderr(&out).contains("EPERM") || stdout(&out).contains("EPERM") {
        return println!("skipped: no bpf(2)");
    }
    let text = stdout(&out);
    assert!(text.contains("accepted  crates/object/tests/fixtures/core/missing.bpf.o: zero"), "{text}");
    assert!(text.contains("the target has nothing for byte_off of struct absent.x"), "{text}");
}

#[test]
fn configuration_comes_from_the_command_line_or_a_file() {
    let scratch = Scratch::new();
    let program = format!("{FIXTURES}/unsupported.bpf.o");
    let target = format!("{FIXTURES}/core/moved.target.o");
    let verdict = |kconfig: &str| {
        let out = run(["check", "--btf", &target, "--kconfig", kconfig, &program]);
        let line = stdout(&out).lines().find(|l| l.contains(": config ")).map(str::to_owned);
        line.unwrap_or_else(|| panic!("{}", stderr(&out))) + &stdout(&out)
    };
    // The program is refused for what it computes, with the value in the register.
    assert!(verdict("CONFIG_HZ=250").contains("R0 = 250"));
    let file = scratch.file("config", "# options\nCONFIG_HZ=1000\n");
    assert!(verdict(&file).contains("R0 = 1000"));
    let text = verdict("CONFIG_HZ=y");
    assert!(
        text.contains("instruction 0: extern \"CONFIG_HZ\": the value y does not go into an integer"),
        "{text}"
    );
    let text = verdict("CONFIG_OTHER=1");
    assert!(text.contains("extern \"CONFIG_HZ\": the configuration does not have it"), "{text}");
    let out = run(["check", "--kconfig", "no-such-file", &program]);
    assert!(code(&out) == 2 && stderr(&out).contains("cannot read `no-such-file`"), "{}", stderr(&out));
}
