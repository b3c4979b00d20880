//! Prototypes that some program types have in place of the common ones under the same number.

use super::ArgKind::{AnySock, Anything, Btf, Ctx, Map, MapValue, Mem, Size, Socket};
use super::MemAccess::{Read, Write};
use super::{Arg, HelperFlags, HelperProto, Ret, pad};

use HelperFlags as F;

/// On a packet: of the control group of its socket, not of the process (`bpf_get_cgroup_classid_proto`).
pub const ON_PACKETS: &[HelperProto] = helpers! {
    17 "bpf_get_cgroup_classid" (Ctx) -> Integer, F::NONE, 4 . 3,
        "Class of the control group of the packet's socket (net_cls).";
};

/// Sampled events: under any licence (`bpf_get_stackid_proto_pe`).
pub const PERF_EVENT: &[HelperProto] = helpers! {
    27 "bpf_get_stackid" (Ctx, Map, Anything) -> Integer, F::NONE, 4 . 6,
        "The number of the call chain, which is kept in a map.";
};

/// The same, and packets of XDP by pointer (`bpf_xdp_get_buff_len_trace_proto`).
pub const SYSCALL: &[HelperProto] = helpers! {
    46 "bpf_get_socket_cookie" (or_null(AnySock)) -> Integer, F::NONE, 5 . 12,
        "A number of the socket that no other socket has had.";
    188 "bpf_xdp_get_buff_len" (Btf("xdp_buff")) -> Integer, F::NONE, 5 . 18,
        "Bytes of the packet, with those that are not in its first page.";
};

/// The same, and what is kept with sockets that the program may not have (`bpf_sk_storage_get_tracing_proto`).
pub const TRACING: &[HelperProto] = helpers! {
    49 "bpf_setsockopt" (AnySock, Anything, Anything, Mem(Read), Size) -> Integer, F::NONE, 6 . 0,
        "setsockopt(2) of a socket.";
    57 "bpf_getsockopt" (AnySock, Anything, Anything, Mem(Write), Size) -> Integer, F::NONE, 6 . 0,
        "getsockopt(2) of a socket.";
    46 "bpf_get_socket_cookie" (or_null(AnySock)) -> Integer, F::NONE, 5 . 12,
        "A number of the socket that no other socket has had.";
    107 "bpf_sk_storage_get" (Map, or_null(Btf("sock_common")), or_null(MapValue(Read)), Anything) -> MapValueOrNull,
        F::NONE, 5 . 11, "The value that a map keeps with a socket, made if asked to, or NULL.";
    108 "bpf_sk_storage_delete" (Map, or_null(Btf("sock_common"))) -> Integer, F::NONE, 5 . 11,
        "Deletes the value that a map keeps with a socket.";
    188 "bpf_xdp_get_buff_len" (Btf("xdp_buff")) -> Integer, F::NONE, 5 . 18,
        "Bytes of the packet, with those that are not in its first page.";
};

/// The context is the socket (`bpf_sk_storage_get_cg_sock_proto`).
pub const CGROUP_SOCK: &[HelperProto] = helpers! {
    107 "bpf_sk_storage_get" (Map, Ctx, or_null(MapValue(Read)), Anything) -> MapValueOrNull, F::NONE, 5 . 2,
        "The value that a map keeps with the socket, made if asked to, or NULL.";
};

/// The context has the socket (`bpf_sk_setsockopt_proto`, `bpf_sk_getsockopt_proto`).
pub const CGROUP_SOCKOPT: &[HelperProto] = helpers! {
    49 "bpf_setsockopt" (AnySock, Anything, Anything, Mem(Read), Size) -> Integer, F::NONE, 4 . 13,
        "setsockopt(2) of a socket.";
    57 "bpf_getsockopt" (AnySock, Anything, Anything, Mem(Write), Size) -> Integer, F::NONE, 4 . 15,
        "getsockopt(2) of a socket.";
};

/// A socket or none for the connection (`bpf_sk_lookup_assign_proto`).
pub const SK_LOOKUP: &[HelperProto] = helpers! {
    124 "bpf_sk_assign" (Ctx, or_null(Socket), Anything) -> Integer, F::NONE, 5 . 9,
        "Picks the socket for the connection.";
};

/// The context has sockets by pointer (`bpf_get_socket_ptr_cookie_proto`).
pub const SOCKETS_BY_POINTER: &[HelperProto] = helpers! {
    46 "bpf_get_socket_cookie" (or_null(AnySock)) -> Integer, F::NONE, 5 . 12,
        "A number of the socket that no other socket has had.";
};

/// Hooks of security modules: sockets by pointer (`bpf_lsm_func_proto`).
pub const LSM: &[HelperProto] = helpers! {
    46 "bpf_get_socket_cookie" (or_null(AnySock)) -> Integer, F::NONE, 5 . 12,
        "A number of the socket that no other socket has had.";
    49 "bpf_setsockopt" (AnySock, Anything, Anything, Mem(Read), Size) -> Integer, F::NONE, 6 . 0,
        "setsockopt(2) of a socket.";
    57 "bpf_getsockopt" (AnySock, Anything, Anything, Mem(Write), Size) -> Integer, F::NONE, 6 . 0,
        "getsockopt(2) of a socket.";
    188 "bpf_xdp_get_buff_len" (Btf("xdp_buff")) -> Integer, F::NONE, 5 . 18,
        "Bytes of the packet, with those that are not in its first page.";
};

/// Members of structures of the kernel: sockets by pointer (`bpf_tcp_ca_get_func_proto`).
pub const STRUCT_OPS: &[HelperProto] = helpers! {
    49 "bpf_setsockopt" (AnySock, Anything, Anything, Mem(Read), Size) -> Integer, F::NONE, 6 . 0,
        "setsockopt(2) of a socket.";
    57 "bpf_getsockopt" (AnySock, Anything, Anything, Mem(Write), Size) -> Integer, F::NONE, 6 . 0,
        "getsockopt(2) of a socket.";
};
