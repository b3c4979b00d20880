/* Global variables: constants that are fixed before loading (.rodata), initialised (.data) and zeroed (.bss)
 * variables, and a section of one's own. A loader turns each section into an array map of one element.
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "skep_bpf.h"

/* Set these before loading; the verifier then knows them as constants. */
const volatile __u32 min_len = 64;
const volatile _Bool verbose = 0;

__u64 smallest = ~0ULL;
__u64 packets;
__u64 bytes;

struct last {
	__u64 time_ns;
	__u32 len;
	__u32 mark;
};

struct last last_packet;
static volatile __u32 generation SEC(".data.state") = 7;

static const char format[] = "packet of %u bytes, %llu so far";

SEC("socket")
int account(struct __sk_buff *skb)
{
	__u64 len = skb->len;

	if (len < min_len)
		return 0;
	__sync_fetch_and_add(&packets, 1);
	__sync_fetch_and_add(&bytes, len);
	if (len < smallest)
		smallest = len;
	last_packet.time_ns = bpf_ktime_get_ns();
	last_packet.len = len;
	last_packet.mark = generation;
	generation += 1;
	if (verbose)
		bpf_trace_printk(format, sizeof(format), (__u32)len, packets);
	return 0;
}

char _license[] SEC("license") = "Dual MIT/GPL";
