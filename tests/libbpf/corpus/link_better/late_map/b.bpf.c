#include "../../link/link.h"
struct {
	__uint(type, 2);
	__uint(max_entries, 4);
	__type(key, u32);
	__type(value, u64);
} shared SEC(".maps");

SEC("socket") int tail(struct __sk_buff *skb) { return 5; }

struct {
	__uint(type, 3);
	__uint(max_entries, 8);
	__uint(key_size, 4);
	__array(values, int(void *));
} jumps SEC(".maps") = { .values = { [3] = (void *)&tail } };

SEC("socket") int jump(struct __sk_buff *skb)
{
	u32 z = 1;
	u64 *s = bpf_map_lookup_elem(&shared, &z);
	if (s)
		*s += 1;
	bpf_tail_call(skb, &jumps, 3);
	return 0;
}
char _license[] SEC("license") = "GPL";
