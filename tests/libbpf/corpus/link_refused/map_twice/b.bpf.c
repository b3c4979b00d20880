#include "../../link/link.h"
struct { __uint(type, 2); __uint(max_entries, 4); __type(key, u32); __type(value, u64); } m SEC(".maps");
SEC("socket") int more(struct __sk_buff *skb) { u32 z = 0; return bpf_map_lookup_elem(&m, &z) != 0; }
char _license[] SEC("license") = "GPL";
