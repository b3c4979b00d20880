/* Maps as before libbpf 1.0. */
#include "../maps.h"

struct bpf_map_def { __u32 type, key_size, value_size, max_entries, map_flags; };
struct bpf_map_def old SEC("maps") = { HASH, 4, 8, 100, 1 };
struct bpf_map_def older SEC("maps") = { ARRAY, 4, 20, 2 };
struct ____btf_map_older { int key; struct bpf_map_def value; };
struct ____btf_map_older __attribute__((section(".maps.older"), used)) ____btf_map_older;
