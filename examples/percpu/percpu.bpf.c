/* A histogram of packet sizes in a per-CPU array and totals by EtherType in a per-CPU hash: each CPU counts in
 * its own value, so that no atomic operation is needed.
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "skep_bpf.h"

#define BUCKETS 17

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32); /* n: packets of 2^(n-1) to 2^n - 1 bytes */
	__type(value, __u64);
	__uint(max_entries, BUCKETS);
} sizes SEC(".maps");

struct totals {
	__u64 packets;
	__u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__type(key, __u16); /* EtherType, host byte order */
	__type(value, struct totals);
	__uint(max_entries, 64);
} ethertypes SEC(".maps");

SEC("socket")
int count_sizes(struct __sk_buff *skb)
{
	__u32 bucket = 0;
	__u64 *count;

	for (__u32 rest = skb->len; rest && bucket < BUCKETS - 1; rest >>= 1)
		bucket++;
	count = bpf_map_lookup_elem(&sizes, &bucket);
	if (count)
		*count += 1;
	return 0;
}

SEC("socket")
int count_ethertypes(struct __sk_buff *skb)
{
	__u16 key = bpf_ntohs(skb->protocol);
	struct totals first = { .packets = 1, .bytes = skb->len };
	struct totals *totals = bpf_map_lookup_elem(&ethertypes, &key);

	if (!totals) {
		bpf_map_update_elem(&ethertypes, &key, &first, BPF_ANY);
		return 0;
	}
	totals->packets += 1;
	totals->bytes += skb->len;
	return 0;
}

char _license[] SEC("license") = "Dual MIT/GPL";
