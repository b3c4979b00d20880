//! The parts of `union bpf_attr` and of the info structures that we use, as the kernel lays them out
//! (include/uapi/linux/bpf.h, Linux 6.18). All fields are plain numbers without padding in between;
//! addresses are `u64`.

use std::ffi::c_long;

/// Commands of `bpf(2)`.
pub(super) mod cmd {
    use super::c_long;
    pub const MAP_CREATE: c_long = 0;
    pub const MAP_LOOKUP_ELEM: c_long = 1;
    pub const MAP_UPDATE_ELEM: c_long = 2;
    pub const MAP_DELETE_ELEM: c_long = 3;
    pub const MAP_GET_NEXT_KEY: c_long = 4;
    pub const PROG_LOAD: c_long = 5;
    pub const OBJ_PIN: c_long = 6;
    pub const OBJ_GET: c_long = 7;
    pub const PROG_TEST_RUN: c_long = 10;
    pub const OBJ_GET_INFO_BY_FD: c_long = 15;
    pub const BTF_LOAD: c_long = 18;
    pub const BTF_GET_FD_BY_ID: c_long = 19;
    pub const MAP_LOOKUP_AND_DELETE_ELEM: c_long = 21;
    pub const MAP_FREEZE: c_long = 22;
    pub const BTF_GET_NEXT_ID: c_long = 23;
    pub const MAP_LOOKUP_BATCH: c_long = 24;
    pub const MAP_LOOKUP_AND_DELETE_BATCH: c_long = 25;
    pub const MAP_UPDATE_BATCH: c_long = 26;
    pub const MAP_DELETE_BATCH: c_long = 27;
    pub const LINK_CREATE: c_long = 28;
    pub const ENABLE_STATS: c_long = 32;
}

/// `BPF_MAP_LOOKUP_BATCH`, `BPF_MAP_LOOKUP_AND_DELETE_BATCH`, `BPF_MAP_UPDATE_BATCH`, `BPF_MAP_DELETE_BATCH`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct MapBatch {
    pub in_batch: u64,
    pub out_batch: u64,
    pub keys: u64,
    pub values: u64,
    pub count: u32,
    pub map_fd: u32,
    pub elem_flags: u64,
    pub flags: u64,
}

/// `BPF_MAP_CREATE`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct MapCreate {
    pub map_type: u32,
    pub key_size: u32,
    pub value_size: u32,
    pub max_entries: u32,
    pub map_flags: u32,
    pub inner_map_fd: u32,
    pub numa_node: u32,
    pub map_name: [u8; 16],
    pub map_ifindex: u32,
    pub btf_fd: u32,
    pub btf_key_type_id: u32,
    pub btf_value_type_id: u32,
    pub btf_vmlinux_value_type_id: u32,
    pub map_extra: u64,
    /// A module's types, if the flags say so ([`Self::VTYPE_BTF_OBJ_FD`], 6.9).
    pub value_type_btf_obj_fd: u32,
    pub map_token_fd: u32,
}

impl MapCreate {
    /// `BPF_F_VTYPE_BTF_OBJ_FD`: the value's type is a module's.
    pub const VTYPE_BTF_OBJ_FD: u32 = 1 << 15;
}

/// `BPF_MAP_*_ELEM`, `BPF_MAP_GET_NEXT_KEY`, `BPF_MAP_FREEZE`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct MapElem {
    pub map_fd: u32,
    pub pad: u32,
    pub key: u64,
    pub value: u64,
    pub flags: u64,
}

/// `BPF_PROG_LOAD`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ProgLoad {
    pub prog_type: u32,
    pub insn_cnt: u32,
    pub insns: u64,
    pub license: u64,
    pub log_level: u32,
    pub log_size: u32,
    pub log_buf: u64,
    pub kern_version: u32,
    pub prog_flags: u32,
    pub prog_name: [u8; 16],
    pub prog_ifindex: u32,
    pub expected_attach_type: u32,
    pub prog_btf_fd: u32,
    pub func_info_rec_size: u32,
    pub func_info: u64,
    pub func_info_cnt: u32,
    pub line_info_rec_size: u32,
    pub line_info: u64,
    pub line_info_cnt: u32,
    pub attach_btf_id: u32,
    /// `attach_prog_fd` or `attach_btf_obj_fd`: the kernel looks what it is.
    pub attach_fd: u32,
    pub core_relo_cnt: u32,
    pub fd_array: u64,
    pub core_relos: u64,
    pub core_relo_rec_size: u32,
    /// Written by the kernel since 6.4; older ones want it zero and leave it.
    pub log_true_size: u32,
}

/// `BPF_PROG_TEST_RUN`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TestRun {
    pub prog_fd: u32,
    pub retval: u32,
    pub data_size_in: u32,
    pub data_size_out: u32,
    pub data_in: u64,
    pub data_out: u64,
    pub repeat: u32,
    pub duration: u32,
    pub ctx_size_in: u32,
    pub ctx_size_out: u32,
    pub ctx_in: u64,
    pub ctx_out: u64,
    pub flags: u32,
    pub cpu: u32,
    pub batch_size: u32,
    pub pad: u32,
}

/// `BPF_OBJ_GET_INFO_BY_FD`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ObjInfo {
    pub bpf_fd: u32,
    pub info_len: u32,
    pub info: u64,
}

/// `BPF_OBJ_PIN`, `BPF_OBJ_GET`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ObjPath {
    pub pathname: u64,
    pub bpf_fd: u32,
    pub file_flags: u32,
}

/// `BPF_LINK_CREATE`, the part that all links have.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LinkCreate {
    /// A program; of `struct_ops` a map.
    pub prog_fd: u32,
    pub target_fd: u32,
    pub attach_type: u32,
    pub flags: u32,
}

/// `BPF_BTF_LOAD`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BtfLoad {
    pub btf: u64,
    pub btf_log_buf: u64,
    pub btf_size: u32,
    pub btf_log_size: u32,
    pub btf_log_level: u32,
    pub pad: u32,
}

/// `BPF_*_GET_NEXT_ID`, `BPF_*_GET_FD_BY_ID`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ById {
    /// Where to begin, or the object.
    pub id: u32,
    /// Written: the first that is greater than `id`.
    pub next_id: u32,
    pub open_flags: u32,
    pub pad: u32,
}

/// `struct bpf_btf_info`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BtfInfo {
    pub btf: u64,
    pub btf_size: u32,
    pub id: u32,
    pub name: u64,
    pub name_len: u32,
    pub kernel_btf: u32,
}

/// `struct bpf_map_info`, up to what we read.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct MapInfo {
    pub map_type: u32,
    pub id: u32,
    pub key_size: u32,
    pub value_size: u32,
    pub max_entries: u32,
    pub map_flags: u32,
    pub name: [u8; 16],
    pub ifindex: u32,
    pub btf_vmlinux_value_type_id: u32,
    pub netns_dev: u64,
    pub netns_ino: u64,
    pub btf_id: u32,
    pub btf_key_type_id: u32,
    pub btf_value_type_id: u32,
    pub btf_vmlinux_id: u32,
    pub map_extra: u64,
}

/// `struct bpf_prog_info`, up to what we read. Counts stay 0, so the kernel follows none of the addresses.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct ProgInfo {
    pub prog_type: u32,
    pub id: u32,
    pub tag: [u8; 8],
    pub jited_prog_len: u32,
    pub xlated_prog_len: u32,
    pub jited_prog_insns: u64,
    pub xlated_prog_insns: u64,
    pub load_time: u64,
    pub created_by_uid: u32,
    pub nr_map_ids: u32,
    pub map_ids: u64,
    pub name: [u8; 16],
    pub ifindex: u32,
    pub gpl_compatible: u32,
    pub netns_dev: u64,
    pub netns_ino: u64,
    pub nr_jited_ksyms: u32,
    pub nr_jited_func_lens: u32,
    pub jited_ksyms: u64,
    pub jited_func_lens: u64,
    pub btf_id: u32,
    pub func_info_rec_size: u32,
    pub func_info: u64,
    pub nr_func_info: u32,
    pub nr_line_info: u32,
    pub line_info: u64,
    pub jited_line_info: u64,
    pub nr_jited_line_info: u32,
    pub line_info_rec_size: u32,
    pub jited_line_info_rec_size: u32,
    pub nr_prog_tags: u32,
    pub prog_tags: u64,
    pub run_time_ns: u64,
    pub run_cnt: u64,
    pub recursion_misses: u64,
    pub verified_insns: u32,
    pub attach_btf_obj_id: u32,
}

/// A name as the kernel takes it: at most 15 bytes of letters, digits, `_` and `.`; others become `_`.
pub fn object_name(name: &str) -> [u8; 16] {
    let mut out = [0; 16];
    for (o, c) in out.iter_mut().take(15).zip(name.bytes()) {
        *o = if c.is_ascii_alphanumeric() || c == b'_' || c == b'.' { c } else { b'_' };
    }
    out
}

/// The text of a name from the kernel.
pub fn name_text(name: &[u8; 16]) -> String {
    let len = name.iter().position(|&c| c == 0).unwrap_or(16);
    String::from_utf8_lossy(&name[..len]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::offset_of;

    /// Where `union bpf_attr` of linux/bpf.h has them.
    #[test]
    fn what_a_program_replaces_stands_where_the_kernel_reads_it() {
        assert_eq!(offset_of!(ProgLoad, expected_attach_type), 68);
        assert_eq!(offset_of!(ProgLoad, attach_btf_id), 108);
        assert_eq!(offset_of!(ProgLoad, attach_fd), 112);
        assert_eq!(offset_of!(ProgLoad, fd_array), 120);
        assert_eq!(size_of::<ProgLoad>(), 144);
    }
}
