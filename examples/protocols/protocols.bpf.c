/* Counts packets by IP protocol: the classic first socket filter.
 *
 * Attached to a raw socket, the program sees each packet from its Ethernet header on. For IPv4 it counts under
 * the header's protocol, for IPv6 under the first next header (extension headers are not walked); anything
 * else, ARP for instance, is not counted.
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "skep_bpf.h"

/* The protocols that are shown by name; the others are shown by number. */
enum ip_protocol {
	ICMP = 1,
	TCP = 6,
	UDP = 17,
	ICMPv6 = 58,
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, enum ip_protocol);
	__type(value, __u64); /* packets */
	__uint(max_entries, 256);
} packets SEC(".maps");

SEC("socket")
int count_protocols(struct __sk_buff *skb)
{
	__u32 protocol;
	__u64 *count;

	switch (load_half(skb, offsetof(struct ethhdr, h_proto))) {
	case ETH_P_IP:
		protocol = load_byte(skb, ETH_HLEN + offsetof(struct iphdr, protocol));
		break;
	case ETH_P_IPV6:
		protocol = load_byte(skb, ETH_HLEN + offsetof(struct ipv6hdr, nexthdr));
		break;
	default:
		return 0;
	}
	count = bpf_map_lookup_elem(&packets, &protocol);
	if (count)
		__sync_fetch_and_add(count, 1);
	return 0; /* keep nothing: the socket is only there to be watched */
}

char _license[] SEC("license") = "Dual MIT/GPL";
