/* Functions that helpers call back: bpf_loop over a packet's bytes, bpf_for_each_map_elem over a map's elements.
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "skep_bpf.h"

/* Bytes by kind: zero, printable, others. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 3);
} kinds SEC(".maps");

__u64 total;

struct walk {
	struct __sk_buff *skb;
	__u32 bytes;
};

static long classify(__u64 index, void *ctx)
{
	struct walk *walk = ctx;
	__u32 kind = 2;
	__u64 *count;
	__u8 byte;

	if (bpf_skb_load_bytes(walk->skb, index, &byte, 1))
		return 1; /* past the end */
	if (byte == 0)
		kind = 0;
	else if (byte >= ' ' && byte <= '~')
		kind = 1;
	count = bpf_map_lookup_elem(&kinds, &kind);
	if (count)
		__sync_fetch_and_add(count, 1);
	walk->bytes++;
	return 0;
}

static long add(void *map, __u32 *key, __u64 *value, void *ctx)
{
	__u64 *sum = ctx;

	(void)map;
	(void)key;
	*sum += *value;
	return 0;
}

SEC("socket")
int classify_bytes(struct __sk_buff *skb)
{
	struct walk walk = { .skb = skb };
	__u64 sum = 0;

	bpf_loop(2048, classify, &walk, 0);
	bpf_for_each_map_elem(&kinds, add, &sum, 0);
	total = sum;
	return walk.bytes;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
