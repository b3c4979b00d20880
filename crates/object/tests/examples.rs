//! Each example: its programs, their types, its maps with all they say.

mod common;

use common::{example, map, program, spec};
use skep_abi::{AttachType, MapFlags, MapType, ProgramType};
use skep_btf::print::{Options, format_value};
use skep_btf::{Endian, TypeId};
use skep_object::{Object, Slot, SlotTarget};
use skep_spec::{MapDef, Pinning, ProgramSpec};

/// Name, section, type and the names of the maps that it uses, of each program.
fn summary(object: &Object) -> Vec<(String, String, ProgramType, Vec<String>)> {
    let one = |p: &skep_object::Program| {
        let s = spec(object, &p.name);
        assert_eq!(s.name, p.name);
        assert_eq!(s.section, p.section);
        let maps = s.maps.iter().map(|m| m.name.clone()).collect();
        (p.name.clone(), p.section.clone(), s.prog_type, maps)
    };
    object.programs.iter().map(one).collect()
}

#[track_caller]
fn programs(object: &Object, want: &[(&str, &str, ProgramType, &[&str])]) {
    let want: Vec<_> = want
        .iter()
        .map(|&(n, s, t, maps)| {
            (n.to_string(), s.to_string(), t, maps.iter().map(|m| m.to_string()).collect())
        })
        .collect::<Vec<_>>();
    assert_eq!(summary(object), want);
    for p in &object.programs {
        let s = spec(object, &p.name);
        assert_eq!(s.license, "Dual MIT/GPL");
        assert!(s.gpl_compatible());
        assert!(p.autoload && s.kernel_version == 0 && s.attach_target.is_none());
        well_formed(s);
    }
}

/// What holds for every linked program with debug information.
fn well_formed(s: &ProgramSpec) {
    assert_eq!(s.func_info.first().map(|f| f.insn_off), Some(0));
    assert_eq!(s.line_info.first().map(|l| l.insn_off), Some(0));
    assert!(s.func_info.is_sorted_by(|a, b| a.insn_off < b.insn_off));
    assert!(s.line_info.is_sorted_by(|a, b| a.insn_off < b.insn_off));
    assert!(s.line_info.last().is_some_and(|l| (l.insn_off as usize) < s.insns.len()));
    assert!(
        matches!(s.insns.last().map(|i| i.opcode), Some(0x95 | 0x05)),
        "it ends with exit or a jump back"
    );
    let btf = s.btf.as_ref().expect("compiled with -g");
    for l in &s.line_info {
        let file = btf.str(btf.name_at(l.file_name_off).expect("checked"));
        assert!(file.ends_with(".bpf.c") || file.ends_with("skep_bpf.h"), "{file}");
        assert!(!file.starts_with('/'), "{file} would differ between machines");
    }
    let mut pc = 0;
    while pc < s.insns.len() {
        let i = s.insns[pc];
        if i.is_wide() {
            assert_ne!(i.src.0, 1, "map descriptors come later");
            if let 5 | 6 = i.src.0 {
                assert!((i.imm as usize) < s.maps.len(), "map {} of {}", i.imm, s.maps.len());
            }
            pc += 1;
        }
        pc += 1;
    }
}

/// The parameters that every kind has.
#[track_caller]
fn shape(m: &MapDef, kind: MapType, key_size: u32, value_size: u32, max_entries: u32, flags: u32) {
    let got = (m.kind, m.key_size, m.value_size, m.max_entries, m.flags.0);
    assert_eq!(got, (kind, key_size, value_size, max_entries, flags), "{}", m.name);
    assert_eq!((m.numa_node, m.map_extra, m.pinning), (0, 0, Pinning::None), "{}", m.name);
}

/// A value of a map's type, as text.
fn text(m: &MapDef, ty: u32, bytes: &[u8]) -> String {
    let options = Options { endian: Endian::Little, ..Options::default() };
    format_value(m.btf.as_ref().expect("types"), TypeId(ty), bytes, &options).expect("prints")
}

#[test]
fn protocols() {
    let o = example("protocols");
    assert_eq!(o.name, "protocols");
    programs(&o, &[("count_protocols", "socket", ProgramType::SOCKET_FILTER, &["packets"])]);
    assert_eq!(o.maps.len(), 1);
    let m = map(&o, "packets");
    shape(m, MapType::ARRAY, 4, 8, 256, 0);
    assert_eq!((m.initial.as_ref(), m.frozen), (None, false));
    assert_eq!(text(m, m.key_btf_id, &[6, 0, 0, 0]), "TCP");
    assert_eq!(text(m, m.key_btf_id, &[7, 0, 0, 0]), "7");
    assert_eq!(text(m, m.value_btf_id, &[0, 1, 0, 0, 0, 0, 0, 0]), "256");
    let s = spec(&o, "count_protocols");
    assert_eq!(s.attach_type, AttachType::UNSPEC);
    let lddw: Vec<_> = s.insns.iter().filter(|i| i.is_wide()).map(|i| (i.src.0, i.imm)).collect();
    assert_eq!(lddw, [(5, 0)], "one reference to map 0");
    assert!(std::sync::Arc::ptr_eq(&s.maps[0], o.maps[0].def.as_ref().unwrap()), "one map, not a copy");
}

#[test]
fn flows() {
    let o = example("flows");
    programs(&o, &[("count_flows", "socket", ProgramType::SOCKET_FILTER, &["flows"])]);
    let m = map(&o, "flows");
    shape(m, MapType::HASH, 16, 32, 1024, MapFlags::NO_PREALLOC);
    let key = [127, 0, 0, 1, 10, 0, 0, 1, 0x39, 0x30, 53, 0, 17, 0, 0, 0];
    let want = "{.source = {127, 0, 0, 1}, .dest = {10, 0, 0, 1}, .source_port = 12345, .dest_port = 53, .protocol = UDP}";
    assert_eq!(text(m, m.key_btf_id, &key), want);
    let mut value = [0; 32];
    (value[0], value[8]) = (3, 200);
    assert_eq!(text(m, m.value_btf_id, &value), "{.packets = 3, .bytes = 200, .first_ns = 0, .last_ns = 0}");
}

#[test]
fn percpu() {
    let o = example("percpu");
    programs(
        &o,
        &[
            ("count_sizes", "socket", ProgramType::SOCKET_FILTER, &["sizes"]),
            ("count_ethertypes", "socket", ProgramType::SOCKET_FILTER, &["ethertypes"]),
        ],
    );
    shape(map(&o, "sizes"), MapType::PERCPU_ARRAY, 4, 8, 17, 0);
    shape(map(&o, "ethertypes"), MapType::PERCPU_HASH, 2, 16, 64, 0);
}

#[test]
fn events() {
    let o = example("events");
    programs(
        &o,
        &[
            ("watch", "socket", ProgramType::SOCKET_FILTER, &["events"]),
            ("watch_other", "socket", ProgramType::SOCKET_FILTER, &["events"]),
        ],
    );
    let m = map(&o, "events");
    shape(m, MapType::RINGBUF, 0, 0, 256 << 10, 0);
    let mut record = [0; 48];
    record[..8].copy_from_slice(&1_000_000u64.to_le_bytes());
    (record[8], record[12], record[16]) = (98, 1, 1);
    record[20..28].copy_from_slice(&[127, 0, 0, 1, 127, 0, 0, 2]);
    record[28..32].copy_from_slice(b"icmp");
    let want = "{.time_ns = 1000000, .len = 98, .cpu = 1, .kind = PING, .source = {127, 0, 0, 1}, \
                .dest = {127, 0, 0, 2}, .name = \"icmp\"}";
    assert_eq!(text(m, m.value_btf_id, &record), want, "the record's type is known by its tag");
}

#[test]
fn globals() {
    let o = example("globals");
    programs(
        &o,
        &[(
            "account",
            "socket",
            ProgramType::SOCKET_FILTER,
            &["globals.rodata", "globals.bss", "globals.data", ".data.state"],
        )],
    );
    let rodata = map(&o, "globals.rodata");
    shape(rodata, MapType::ARRAY, 4, 37, 1, MapFlags::RDONLY_PROG | MapFlags::MMAPABLE);
    assert!(rodata.frozen);
    let contents = rodata.initial.as_ref().expect("constants");
    let want = "{.min_len = 64, .verbose = false, .format = \"packet of %u bytes, %llu so far\"}";
    assert_eq!(text(rodata, rodata.value_btf_id, contents), want);
    let data = map(&o, "globals.data");
    shape(data, MapType::ARRAY, 4, 8, 1, MapFlags::MMAPABLE);
    assert_eq!((data.initial.as_deref(), data.frozen), (Some(&[0xff; 8][..]), false));
    let bss = map(&o, "globals.bss");
    shape(bss, MapType::ARRAY, 4, 32, 1, MapFlags::MMAPABLE);
    assert_eq!((bss.initial.as_ref(), bss.frozen), (None, false));
    let zeros = "{.packets = 0, .bytes = 0, .last_packet = {.time_ns = 0, .len = 0, .mark = 0}}";
    assert_eq!(text(bss, bss.value_btf_id, &[0; 32]), zeros);
    // Static variables only: nothing to see from outside.
    shape(map(&o, ".data.state"), MapType::ARRAY, 4, 4, 1, 0);

    // Which byte of which section each reference means, in the order of the source.
    let s = spec(&o, "account");
    let refs: Vec<_> = (0..s.insns.len())
        .filter(|&i| s.insns[i].is_wide() && s.insns[i].src.0 == 6)
        .map(|i| (s.maps[s.insns[i].imm as usize].name.as_str(), s.insns[i + 1].imm))
        .collect();
    let (rodata, bss) = ("globals.rodata", "globals.bss");
    let want = [(rodata, 0), (bss, 0), (bss, 8), ("globals.data", 0), (".data.state", 0), (bss, 16)];
    assert_eq!(refs[..6], want);
    assert_eq!(refs[6..], [(rodata, 4), (bss, 0), (rodata, 5)]);
}

#[test]
fn calls() {
    let o = example("calls");
    programs(
        &o,
        &[
            ("count_sent", "socket", ProgramType::SOCKET_FILTER, &["totals"]),
            ("count_large", "socket", ProgramType::SOCKET_FILTER, &["totals"]),
            ("count_received", "xdp", ProgramType::XDP, &["totals"]),
        ],
    );
    assert_eq!(spec(&o, "count_sent").func_info.len(), 4);
}

#[test]
fn tailcalls() {
    let o = example("tailcalls");
    programs(
        &o,
        &[
            ("handle_tcp", "socket", ProgramType::SOCKET_FILTER, &["counts"]),
            ("handle_udp", "socket", ProgramType::SOCKET_FILTER, &["counts"]),
            ("dispatch", "socket", ProgramType::SOCKET_FILTER, &["handlers", "counts"]),
        ],
    );
    shape(map(&o, "handlers"), MapType::PROG_ARRAY, 4, 4, 256, 0);
    let slot = |index, name: &str| Slot { index, target: SlotTarget::Program(name.into()) };
    assert_eq!(o.map("handlers").unwrap().slots, [slot(6, "handle_tcp"), slot(17, "handle_udp")]);
}

#[test]
fn xdp_filter() {
    let o = example("xdp_filter");
    programs(&o, &[("filter", "xdp", ProgramType::XDP, &["verdicts", "xdp_filt.rodata"])]);
    assert_eq!(spec(&o, "filter").attach_type, AttachType::XDP);
    shape(map(&o, "verdicts"), MapType::PERCPU_ARRAY, 4, 8, 5, 0);
    assert_eq!(map(&o, "xdp_filt.rodata").initial.as_deref(), Some(&[9, 0][..]));
}

#[test]
fn syscall() {
    let o = example("syscall");
    programs(&o, &[("divide", "syscall", ProgramType::SYSCALL, &[])]);
    assert_eq!(spec(&o, "divide").flags, ProgramSpec::SLEEPABLE);
    assert!(o.maps.is_empty());
}

#[test]
fn loops() {
    let o = example("loops");
    programs(
        &o,
        &[
            ("count_inner", "socket", ProgramType::SOCKET_FILTER, &["packets"]),
            ("check_headers", "socket", ProgramType::SOCKET_FILTER, &["checksums"]),
        ],
    );
    assert_eq!(o.maps.len(), 2);
    assert!(program(&o, "count_inner").autoload);
}

#[test]
fn callbacks() {
    let o = example("callbacks");
    let maps = ["kinds", "callback.bss"];
    programs(&o, &[("classify_bytes", "socket", ProgramType::SOCKET_FILTER, &maps)]);
    assert_eq!(spec(&o, "classify_bytes").func_info.len(), 3, "the program and two functions called back");
}
