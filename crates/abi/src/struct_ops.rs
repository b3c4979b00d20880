//! Structures of functions that programs may be members of (`struct bpf_struct_ops`, Linux 6.18), as far as the kernel's
//! own types do not describe them.

/// What a member's programs may store to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// Anything inside the object.
    Whole,
    /// From the start of these members on, inside each: structure and path.
    Members(&'static [(&'static str, &'static str)]),
}

/// A structure of functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StructOps {
    /// Name of the structure.
    pub name: &'static str,
    /// The members that programs may be, each with the function that stands in for it (`cfi_stubs`): the names of its
    /// parameters say which may be NULL.
    pub members: &'static [(&'static str, &'static str)],
    /// The members whose programs may sleep; `None` for all.
    pub sleepable: Option<&'static [&'static str]>,
    /// The structure that programs store to.
    pub object: &'static str,
    /// Arguments of this type are of the type of `object`.
    pub stands_for_object: Option<&'static str>,
    /// What of it.
    pub stored: Stored,
    /// Members of it that are stored to at any place: structure and path.
    pub areas: &'static [(&'static str, &'static str)],
    /// Whether programs have the helpers that all programs have; otherwise none.
    pub base_helpers: bool,
    /// Helpers beside those.
    pub helpers: &'static [u32],
    /// A member that does not have some of them.
    pub without: Option<(&'static str, &'static [u32])>,
}

/// The structures of the kernel itself that skep knows.
pub static STRUCT_OPS: &[StructOps] = &[
    // net/bpf/bpf_dummy_struct_ops.c
    StructOps {
        name: "bpf_dummy_ops",
        members: &[
            ("test_1", "bpf_dummy_ops__test_1"),
            ("test_2", "bpf_dummy_test_2"),
            ("test_sleepable", "bpf_dummy_test_sleepable"),
        ],
        sleepable: Some(&["test_sleepable"]),
        object: "bpf_dummy_ops_state",
        stands_for_object: None,
        stored: Stored::Whole,
        areas: &[],
        base_helpers: false,
        helpers: &[],
        without: None,
    },
    // net/ipv4/bpf_tcp_ca.c
    StructOps {
        name: "tcp_congestion_ops",
        members: &[
            ("ssthresh", "bpf_tcp_ca_ssthresh"),
            ("cong_avoid", "bpf_tcp_ca_cong_avoid"),
            ("set_state", "bpf_tcp_ca_set_state"),
            ("cwnd_event", "bpf_tcp_ca_cwnd_event"),
            ("in_ack_event", "bpf_tcp_ca_in_ack_event"),
            ("pkts_acked", "bpf_tcp_ca_pkts_acked"),
            ("min_tso_segs", "bpf_tcp_ca_min_tso_segs"),
            ("cong_control", "bpf_tcp_ca_cong_control"),
            ("undo_cwnd", "bpf_tcp_ca_undo_cwnd"),
            ("sndbuf_expand", "bpf_tcp_ca_sndbuf_expand"),
            ("init", "__bpf_tcp_ca_init"),
            ("release", "__bpf_tcp_ca_release"),
        ],
        sleepable: None,
        object: "tcp_sock",
        stands_for_object: Some("sock"),
        stored: Stored::Members(&[
            ("sock", "sk_pacing_rate"),
            ("sock", "sk_pacing_status"),
            ("inet_connection_sock", "icsk_ack.pending"),
            ("tcp_sock", "snd_cwnd"),
            ("tcp_sock", "snd_cwnd_cnt"),
            ("tcp_sock", "snd_cwnd_stamp"),
            ("tcp_sock", "snd_ssthresh"),
            ("tcp_sock", "ecn_flags"),
            ("tcp_sock", "app_limited"),
        ]),
        areas: &[("inet_connection_sock", "icsk_ca_priv")],
        base_helpers: true,
        // bpf_setsockopt, bpf_getsockopt, bpf_sk_storage_*, bpf_tcp_send_ack, bpf_ktime_get_coarse_ns
        helpers: &[49, 57, 107, 108, 116, 160],
        without: Some(("release", &[49, 57])),
    },
];

/// The structure of a name.
pub fn struct_ops(name: &str) -> Option<&'static StructOps> {
    STRUCT_OPS.iter().find(|s| s.name == name)
}

impl StructOps {
    /// The function that stands in for a member.
    pub fn stub(&self, member: &str) -> Option<&'static str> {
        self.members.iter().find(|(name, _)| *name == member).map(|(_, stub)| *stub)
    }

    /// Whether a member's programs may sleep.
    pub fn sleeps(&self, member: &str) -> bool {
        self.sleepable.is_none_or(|list| list.contains(&member))
    }

    /// Whether a member's programs have a helper because of the structure.
    pub fn offers(&self, member: &str, helper: u32) -> bool {
        let less = self.without.is_some_and(|(m, ids)| m == member && ids.contains(&helper));
        self.helpers.contains(&helper) && !less
    }
}
