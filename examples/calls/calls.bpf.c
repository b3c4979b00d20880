/* Functions: static and global ones of .text, shared between programs of two types, and a chain of calls.
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "skep_bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 4);
} totals SEC(".maps");

/* Not in a section of its own: .text. Global, so the verifier checks it once, for any argument. */
__noinline int bucket_of(__u32 len)
{
	if (len < 128)
		return 0;
	if (len < 512)
		return 1;
	return len < 1500 ? 2 : 3;
}

static __noinline void add(__u32 bucket, __u64 amount)
{
	__u64 *total = bpf_map_lookup_elem(&totals, &bucket);

	if (total)
		__sync_fetch_and_add(total, amount);
}

static __noinline void account(__u32 len)
{
	add(bucket_of(len), 1);
}

SEC("socket")
int count_sent(struct __sk_buff *skb)
{
	account(skb->len);
	return 0;
}

static __noinline int is_large(struct __sk_buff *skb)
{
	return bucket_of(skb->len) == 3;
}

SEC("socket")
int count_large(struct __sk_buff *skb)
{
	if (is_large(skb))
		add(3, skb->len);
	return 0;
}

SEC("xdp")
int count_received(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *data_end = (void *)(long)ctx->data_end;

	account(data_end - data);
	return XDP_PASS;
}

char _license[] SEC("license") = "Dual MIT/GPL";
