//! Files that lie: each with the section, symbol or instruction that the message must name.

mod common;

use common::{fixture, fixture_path, program, read};
use skep_object::{Error, Object};

/// An object with its tables found by hand, to be damaged.
struct Victim {
    bytes: Vec<u8>,
}

impl Victim {
    fn new() -> Self {
        Self { bytes: read(&fixture_path("linking.bpf.o")) }
    }

    fn u16(&self, at: usize) -> usize {
        u16::from_le_bytes(self.bytes[at..at + 2].try_into().unwrap()).into()
    }

    fn u32(&self, at: usize) -> usize {
        u32::from_le_bytes(self.bytes[at..at + 4].try_into().unwrap()) as usize
    }

    fn u64(&self, at: usize) -> usize {
        u64::from_le_bytes(self.bytes[at..at + 8].try_into().unwrap()) as usize
    }

    fn put(mut self, at: usize, bytes: &[u8]) -> Self {
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    /// Where the header of the section with this number stands.
    fn header(&self, index: usize) -> usize {
        self.u64(0x28) + index * 64
    }

    fn index(&self, name: &str) -> usize {
        let names = self.u64(self.header(self.u16(0x3e)) + 0x18);
        let is = |i: &usize| {
            let at = names + self.u32(self.header(*i));
            self.bytes[at..].starts_with(name.as_bytes()) && self.bytes[at + name.len()] == 0
        };
        (0..self.u16(0x3c)).find(is).unwrap_or_else(|| panic!("no section {name}"))
    }

    /// Where the header of a section stands.
    fn section(&self, name: &str) -> usize {
        self.header(self.index(name))
    }

    /// Where the contents of a section stand.
    fn contents(&self, name: &str) -> usize {
        self.u64(self.section(name) + 0x18)
    }

    /// Where a symbol's entry stands.
    fn symbol(&self, name: &str) -> usize {
        let (table, names) = (self.contents(".symtab"), self.contents(".strtab"));
        let is = |at: &usize| {
            let s = names + self.u32(*at);
            self.bytes[s..].starts_with(name.as_bytes()) && self.bytes[s + name.len()] == 0
        };
        (0..).map(|i| table + i * 24).take(100).find(is).unwrap_or_else(|| panic!("no symbol {name}"))
    }

    #[track_caller]
    fn refused(&self, want: &str) -> Error {
        let e = Object::parse_any_endian("v.o", &self.bytes).expect_err(want);
        assert!(e.to_string().starts_with("v.o: ") && e.to_string().contains(want), "{e}");
        e
    }

    /// The program is refused, the others are not.
    #[track_caller]
    fn spoils(&self, names: &[&str], want: &str) {
        let o = Object::parse_any_endian("v.o", &self.bytes).expect("the file as such is right");
        for p in &o.programs {
            match &p.spec {
                Ok(_) => assert!(!names.contains(&p.name.as_str()), "{} was accepted", p.name),
                Err(e) => {
                    assert!(names.contains(&p.name.as_str()), "{}: {e}", p.name);
                    assert!(e.to_string().contains(want), "{e}");
                }
            }
        }
    }
}

/// With its header's fields at these places.
const SIZE: usize = 0x20;
const OFFSET: usize = 0x18;

#[test]
fn not_an_object_of_ours() {
    let refuse = |bytes: &[u8], want: &str| {
        let e = Object::parse("x.o", bytes).expect_err(want);
        assert!(e.to_string().starts_with("x.o: ") && e.to_string().contains(want), "{e}");
    };
    refuse(b"", "not an ELF file: 0 bytes");
    refuse(b"#include <stdio.h>\nint main", "not an ELF file: it starts with");
    refuse(&read(&fixture_path("host.o")), "ELF machine 62 (x86-64), not for eBPF");
    refuse(&Victim::new().put(4, &[1]).bytes, "32-bit");
    refuse(&Victim::new().put(5, &[9]).bytes, "damaged ELF header");
    refuse(&Victim::new().put(6, &[9]).bytes, "damaged ELF header");
    refuse(&Victim::new().put(0x10, &[2]).bytes, "ELF type 2, not a relocatable object");
    refuse(&read(&fixture_path("legacy.bpf.o")), "section \"maps\": legacy map definitions");
    let today = "struct {\n\t__uint(type, BPF_MAP_TYPE_ARRAY);\n\t__uint(key_size, 4);\n\t__uint(value_size, 4);\n\
                 \t__uint(max_entries, 1);\n} old SEC(\".maps\");\n";
    refuse(&read(&fixture_path("legacy.bpf.o")), today);
    refuse(
        &read(&fixture_path("nobtf.bpf.o")),
        "section \".maps\": maps are described by BTF, and there is none",
    );
}

#[test]
fn every_truncation() {
    let whole = Victim::new().bytes;
    for len in 0..whole.len() {
        assert!(Object::parse_any_endian("v.o", &whole[..len]).is_err(), "cut to {len} bytes");
    }
    let e = Object::parse_any_endian("v.o", &whole[..whole.len() / 2]).unwrap_err();
    assert!(
        e.to_string().contains(" (e_shoff) lie outside the file of ") && e.to_string().contains("cut off"),
        "{e}"
    );
}

#[test]
fn lying_header() {
    Victim::new().put(0x28, &[0xff; 8]).refused("ELF header, byte 0x28: ");
    Victim::new()
        .put(0x3a, &[1])
        .refused("ELF header, byte 0x3a: e_shentsize is 1, and a section header has 64 bytes");
    Victim::new().put(0x3c, &[0xff, 0xfe]).refused("ELF header, byte 0x28: 65279 section headers at ");
    Victim::new()
        .put(0x3e, &[0xff, 0xfe])
        .refused("ELF header, byte 0x3e: section 65279 holds the names (e_shstrndx)");
}

#[test]
fn lying_sections() {
    let v = Victim::new();
    let at = v.section("xdp");
    v.put(at + OFFSET, &[0xff; 7]).refused("section \"xdp\": its contents");
    let v = Victim::new();
    let at = v.section(".BTF");
    v.put(at + SIZE, &[0xff; 4]).refused("section \".BTF\": its contents");
    let v = Victim::new();
    let at = v.section(".BTF");
    v.put(at + SIZE, &[40, 0, 0, 0]).refused("section \".BTF\": BTF header");
    let v = Victim::new();
    let at = v.contents(".BTF");
    v.put(at, &[0; 2]).refused("section \".BTF\": BTF header: magic");
    let v = Victim::new();
    let at = v.contents(".BTF.ext");
    v.put(at + 40, &[0xff; 4]).refused("section \".BTF.ext\": BTF.ext offset");
    let v = Victim::new();
    let at = v.section("xdp");
    v.put(at, &[0xff; 4]).refused("its name lies outside");
    let v = Victim::new();
    let at = v.section(".bss");
    v.put(at + SIZE, &[0xff; 6]).refused("section \".bss\"");
    // The function symbols still fit; the last instruction does not.
    let v = Victim::new();
    let (at, size) = (v.section(".text"), v.u64(v.section(".text") + SIZE));
    v.put(at + SIZE, &[size as u8 + 4]).refused("section \".text\": 316 bytes of code, not a multiple of 8");
    // A section of data that claims to be something else.
    let v = Victim::new();
    let at = v.section(".data.visible");
    v.put(at + 4, &[7]).refused("section \".data.visible\": it has type 7");
}

#[test]
fn lying_symbols() {
    let v = Victim::new();
    let at = v.symbol("direct");
    v.put(at + 8, &[0, 0x10]).refused("symbol \"direct\": it covers bytes 0x1000+0x10 of section \"xdp\"");
    let v = Victim::new();
    let at = v.symbol("direct");
    v.put(at + 6, &[0xee, 0]).refused("symbol \"direct\": it is defined in section 238");
    let v = Victim::new();
    let at = v.symbol("direct");
    v.put(at + 8, &[0x1c])
        .refused("symbol \"direct\": a function of bytes 0x1c+0x10, not whole instructions");
    let v = Victim::new();
    let at = v.symbol("direct");
    v.put(at + 16, &[0x20])
        .refused("symbol \"direct\": the function ends at 0x38, after the next begins at 0x28");
    let v = Victim::new();
    let at = v.symbol("direct");
    v.put(at, &[0xff; 4]).refused("its name is not a string");
    let v = Victim::new();
    let at = v.symbol("visible");
    v.put(at, &[0; 4]).refused("section \".data.visible\": BTF has a variable \"visible\" in it");
    let v = Victim::new();
    let at = v.section(".symtab");
    v.put(at + 4, &[1]).refused("no symbol table");
}

#[test]
fn lying_relocations() {
    let first = |v: &Victim, name: &str| v.contents(name);
    let v = Victim::new();
    let at = first(&v, ".relsocket");
    v.put(at, &[12]).refused("section \"socket\"+0xc: a relocation that is not at a multiple of 8");
    let v = Victim::new();
    let at = first(&v, ".relsocket");
    v.put(at, &[0, 0x10]).refused("section \"socket\"+0x1000: a relocation outside the section's 0x70 bytes");
    let v = Victim::new();
    let at = first(&v, ".relsocket");
    v.put(at + 12, &[0xff, 0xff]).refused("section \"socket\"+0x8: a relocation against symbol 65535 of");
    let v = Victim::new();
    let at = first(&v, ".relsocket");
    v.put(at + 16, &[8]).refused("section \"socket\"+0x8: two relocations at the same place");
    let v = Victim::new();
    let at = v.section(".relsocket");
    v.put(at + 0x2c, &[0xff]).refused("a relocation section is for section 255");
    let v = Victim::new();
    let at = v.section(".relsocket");
    v.put(at + 4, &[4]).refused("have addends");

    // What concerns one program only: an instruction that cannot be relocated, a type that does not fit.
    let v = Victim::new();
    let at = first(&v, ".relsocket");
    v.put(at, &[0]).spoils(
        &["other"],
        "function \"other\", instruction 0: relocation type 10 against \"xdp\" at opcode 0xb4",
    );
    let v = Victim::new();
    let at = first(&v, ".relsocket");
    v.put(at + 8, &[2]).spoils(&["other"], "function \"other\", instruction 1: relocation type 2");
    let v = Victim::new();
    let at = first(&v, ".relsocket");
    let data = v.u32(first(&v, ".relxdp") + 16 + 12) as u8;
    v.put(at + 12, &[data])
        .spoils(&["other"], "a call of \"visible\" in section \".data.visible\", which is not code");
    // The middle of a function, through the call's own offset.
    let v = Victim::new();
    let at = v.contents("socket");
    v.put(at + 8 + 4, &[0, 0, 0, 0]).spoils(&["other"], "no function starts at slot 1 of section \"xdp\"");
    // Behind the data, through the address's own offset.
    let v = Victim::new();
    let at = v.contents("xdp");
    v.put(at + 56 + 4, &[5, 0, 0, 0])
        .spoils(&["again"], "byte 0x5 of section \".data.visible\", which has 0x4");
    let v = Victim::new();
    let at = v.contents("xdp");
    v.put(at + 56 + 4, &[0xff; 4]).spoils(&["again"], "\"visible\"-1 lies before section");
    // An LDDW whose second half is another function's.
    let v = Victim::new();
    let at = v.contents("xdp");
    v.put(at + 32, &[0x18])
        .spoils(&["direct"], "function \"direct\", instruction 1: an LDDW whose second slot lies outside");
}

#[test]
fn lying_licence_and_version() {
    let bytes = read(&fixture_path("sections.bpf.o"));
    let v = Victim { bytes: bytes.clone() };
    let at = v.contents("license");
    v.put(at, &[0xff]).refused("section \"license\": the licence is not UTF-8");
    let v = Victim { bytes };
    let at = v.section("version");
    v.put(at + SIZE, &[3]).refused("section \"version\"");
}

/// A stack overflow, or a wait, for whoever follows calls by recursion or copies what is shared each time.
#[test]
fn calls_without_end_are_linked_once() {
    let v = Victim::new();
    // `hidden` calls itself instead of `outer`.
    let at = v.contents(".rel.text");
    let relocs = v.u64(v.section(".rel.text") + SIZE) / 16;
    let call = (0..relocs).map(|i| at + i * 16).find(|&r| v.u64(r) == 0xd0).expect("hidden calls outer");
    let hidden = ((v.symbol("hidden") - v.contents(".symtab")) / 24) as u8;
    let o = Object::parse_any_endian("v.o", &v.put(call + 12, &[hidden]).bytes).expect("reads");
    let spec = program(&o, "direct").spec.as_ref().expect("recursion is the verifier's business");
    assert_eq!(spec.func_info.len(), 3);
    assert!(
        spec.insns.len() < program(&fixture("linking.bpf.o"), "direct").spec.as_ref().unwrap().insns.len()
    );
}
