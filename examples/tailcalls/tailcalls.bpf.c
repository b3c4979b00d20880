/* A dispatcher that jumps to a program per protocol through a program array. The array's slots are named here,
 * so that a loader can fill them.
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "skep_bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 3); /* 0: nobody's, 1: TCP, 2: UDP */
} counts SEC(".maps");

static __always_inline int count(__u32 which)
{
	__u64 *n = bpf_map_lookup_elem(&counts, &which);

	if (n)
		__sync_fetch_and_add(n, 1);
	return 0;
}

SEC("socket")
int handle_tcp(struct __sk_buff *skb)
{
	(void)skb;
	return count(1);
}

SEC("socket")
int handle_udp(struct __sk_buff *skb)
{
	(void)skb;
	return count(2);
}

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(key_size, sizeof(__u32));
	__uint(max_entries, 256);
	__array(values, int(struct __sk_buff *));
} handlers SEC(".maps") = {
	.values = {
		[IPPROTO_TCP] = &handle_tcp,
		[IPPROTO_UDP] = &handle_udp,
	},
};

SEC("socket")
int dispatch(struct __sk_buff *skb)
{
	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		__u32 protocol = load_byte(skb, ETH_HLEN + offsetof(struct iphdr, protocol));

		bpf_tail_call(skb, &handlers, protocol);
	}
	return count(0); /* no such slot: the tail call falls through */
}

char _license[] SEC("license") = "Dual MIT/GPL";
