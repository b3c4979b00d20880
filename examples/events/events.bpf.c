/* One event per packet through a ring buffer.
 *
 * A ring buffer map has no value type that would tell consumers what its records are (Linux refuses one), so the
 * struct carries a tag that names the map. Loaders that do not know the tag leave it alone. For the struct to
 * be in the object's BTF at all, a function that is not inlined has to take it.
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "skep_bpf.h"

enum kind {
	OTHER,
	PING,
	STREAM,
	DATAGRAM,
};

struct event {
	__u64 time_ns;
	__u32 len;
	__u32 cpu;
	enum kind kind;
	__u8 source[4];
	__u8 dest[4];
	char name[16];
} RINGBUF_RECORD(events);

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} events SEC(".maps");

static __noinline void classify(struct event *e, __u8 protocol)
{
	__builtin_memset(e->name, 0, sizeof(e->name));
	switch (protocol) {
	case IPPROTO_ICMP:
		e->kind = PING;
		__builtin_memcpy(e->name, "icmp", 5);
		break;
	case IPPROTO_TCP:
		e->kind = STREAM;
		__builtin_memcpy(e->name, "tcp", 4);
		break;
	case IPPROTO_UDP:
		e->kind = DATAGRAM;
		__builtin_memcpy(e->name, "udp", 4);
		break;
	default:
		e->kind = OTHER;
		__builtin_memcpy(e->name, "other", 6);
	}
}

SEC("socket")
int watch(struct __sk_buff *skb)
{
	struct event *e;
	struct iphdr ip;

	if (skb->protocol != bpf_htons(ETH_P_IP))
		return 0;
	e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	if (!e)
		return 0; /* full: the event is lost */
	if (bpf_skb_load_bytes(skb, ETH_HLEN, &ip, sizeof(ip))) {
		bpf_ringbuf_discard(e, 0);
		return 0;
	}
	e->time_ns = bpf_ktime_get_ns();
	e->len = skb->len;
	e->cpu = bpf_get_smp_processor_id();
	__builtin_memcpy(e->source, &ip.saddr, 4);
	__builtin_memcpy(e->dest, &ip.daddr, 4);
	classify(e, ip.protocol);
	bpf_ringbuf_submit(e, 0);
	return 0;
}

/* The same through a copy: simpler, where the event is made on the stack. */
SEC("socket")
int watch_other(struct __sk_buff *skb)
{
	struct event e = { .kind = OTHER, .name = "not IPv4" };

	if (skb->protocol == bpf_htons(ETH_P_IP))
		return 0;
	e.time_ns = bpf_ktime_get_ns();
	e.len = skb->len;
	e.cpu = bpf_get_smp_processor_id();
	bpf_ringbuf_output(&events, &e, sizeof(e), 0);
	return 0;
}

char _license[] SEC("license") = "Dual MIT/GPL";
