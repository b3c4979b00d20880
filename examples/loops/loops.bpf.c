/* Bounded loops: walks the extension headers of IPv6 to the real protocol, and sums the IPv4 header's checksum
 * over a length that only the packet knows.
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "skep_bpf.h"

#define MAX_EXTENSIONS 6

enum {
	NEXTHDR_HOP = 0,
	NEXTHDR_ROUTING = 43,
	NEXTHDR_FRAGMENT = 44,
	NEXTHDR_DEST = 60,
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32); /* IP protocol */
	__type(value, __u64);
	__uint(max_entries, 256);
} packets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32); /* 0: right, 1: wrong */
	__type(value, __u64);
	__uint(max_entries, 2);
} checksums SEC(".maps");

static __always_inline void add_one(void *map, __u32 key)
{
	__u64 *count = bpf_map_lookup_elem(map, &key);

	if (count)
		__sync_fetch_and_add(count, 1);
}

SEC("socket")
int count_inner(struct __sk_buff *skb)
{
	__u32 off = ETH_HLEN + sizeof(struct ipv6hdr);
	__u32 next;

	if (load_half(skb, offsetof(struct ethhdr, h_proto)) != ETH_P_IPV6)
		return 0;
	next = load_byte(skb, ETH_HLEN + offsetof(struct ipv6hdr, nexthdr));
	for (int i = 0; i < MAX_EXTENSIONS; i++) {
		__u8 head[2];

		if (next != NEXTHDR_HOP && next != NEXTHDR_ROUTING && next != NEXTHDR_FRAGMENT && next != NEXTHDR_DEST)
			break;
		if (bpf_skb_load_bytes(skb, off, head, sizeof(head)))
			return 0;
		/* A fragment header is always 8 bytes; the others count 8-byte units after the first. */
		off += next == NEXTHDR_FRAGMENT ? 8 : (head[1] + 1) * 8;
		next = head[0];
	}
	add_one(&packets, next);
	return 0;
}

SEC("socket")
int check_headers(struct __sk_buff *skb)
{
	__u32 sum = 0, words;

	if (load_half(skb, offsetof(struct ethhdr, h_proto)) != ETH_P_IP)
		return 0;
	words = (load_byte(skb, ETH_HLEN) & 0xf) * 2;
	for (__u32 i = 0; i < words; i++)
		sum += load_half(skb, ETH_HLEN + i * 2);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	add_one(&checksums, sum != 0xffff);
	return 0;
}

char _license[] SEC("license") = "Dual MIT/GPL";
