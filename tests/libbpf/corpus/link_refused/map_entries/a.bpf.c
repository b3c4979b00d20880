#include "../../link/link.h"
extern struct { __uint(type, 2); __uint(max_entries, 4); __type(key, u32); __type(value, u64); } m IN(".maps");
SEC("socket") int prog(struct __sk_buff *skb) { u32 z = 0; return bpf_map_lookup_elem(&m, &z) != 0; }
char _license[] SEC("license") = "GPL";
