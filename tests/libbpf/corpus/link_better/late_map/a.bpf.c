#include "../../link/link.h"
// A map that is declared before it is defined: libbpf leaves it at the first byte of the section.
struct key {
	u32 a, b;
};
struct {
	__uint(type, 1);
	__uint(max_entries, 16);
	__type(key, struct key);
	__type(value, u64);
} own SEC(".maps");

extern struct {
	__uint(type, 2);
	__uint(max_entries, 4);
	__type(key, u32);
	__type(value, u64);
} shared IN(".maps");

struct inner {
	__uint(type, 2);
	__uint(max_entries, 3);
	__type(key, u32);
	__type(value, u32);
} in_a SEC(".maps");

struct {
	__uint(type, 12);
	__uint(max_entries, 2);
	__type(key, u32);
	__array(values, struct inner);
} outer SEC(".maps") = { .values = { &in_a, &in_a } };

SEC("socket") int prog(struct __sk_buff *skb)
{
	struct key k = { skb->len, 1 };
	u32 z = 0;
	u64 *v = bpf_map_lookup_elem(&own, &k), *s = bpf_map_lookup_elem(&shared, &z);
	if (bpf_map_lookup_elem(&outer, &z) && v && s)
		return *v + *s;
	return 0;
}
char _license[] SEC("license") = "GPL";
