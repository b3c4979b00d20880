/* An XDP program that decides and rewrites: drops UDP to the discard port, answers pings itself, and forwards
 * other IPv4 with one hop less and the checksum put right.
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "skep_bpf.h"

#define PORT_DISCARD 9
#define ICMP_ECHOREPLY 0
#define ICMP_ECHO 8

const volatile __u16 blocked_port = PORT_DISCARD;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32); /* enum xdp_action */
	__type(value, __u64);
	__uint(max_entries, 5);
} verdicts SEC(".maps");

struct icmphdr {
	__u8 type;
	__u8 code;
	__u16 checksum;
};

static __always_inline int verdict(enum xdp_action action)
{
	__u32 key = action;
	__u64 *count = bpf_map_lookup_elem(&verdicts, &key);

	if (count)
		*count += 1;
	return action;
}

/* A header's checksum when one of its 16-bit words changes (RFC 1624, equation 3). All in network order. */
static __always_inline __u16 checksum_replace(__u16 check, __u16 from, __u16 to)
{
	__u32 sum = (__u16)~check + (__u16)~from + to;

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static __always_inline void swap_addresses(struct ethhdr *eth, struct iphdr *ip)
{
	__be32 addr = ip->saddr;
	__u8 mac[6];

	__builtin_memcpy(mac, eth->h_source, 6);
	__builtin_memcpy(eth->h_source, eth->h_dest, 6);
	__builtin_memcpy(eth->h_dest, mac, 6);
	ip->saddr = ip->daddr;
	ip->daddr = addr;
}

SEC("xdp")
int filter(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *data_end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	void *payload = ip + 1;
	__u16 old, new;

	if (payload > data_end || eth->h_proto != bpf_htons(ETH_P_IP))
		return verdict(XDP_PASS);
	if (ip->ihl != 5)
		return verdict(XDP_PASS); /* options: not worth the trouble here */

	if (ip->protocol == IPPROTO_UDP) {
		struct udphdr *udp = payload;

		if ((void *)(udp + 1) > data_end)
			return verdict(XDP_DROP);
		if (udp->dest == bpf_htons(blocked_port))
			return verdict(XDP_DROP);
	} else if (ip->protocol == IPPROTO_ICMP) {
		struct icmphdr *icmp = payload;

		if ((void *)(icmp + 1) > data_end)
			return verdict(XDP_DROP);
		if (icmp->type == ICMP_ECHO) {
			icmp->type = ICMP_ECHOREPLY;
			icmp->checksum = checksum_replace(icmp->checksum, bpf_htons(ICMP_ECHO << 8),
							  bpf_htons(ICMP_ECHOREPLY << 8));
			swap_addresses(eth, ip);
			return verdict(XDP_TX);
		}
	}

	if (ip->ttl <= 1)
		return verdict(XDP_DROP);
	old = bpf_htons(ip->ttl << 8 | ip->protocol);
	ip->ttl -= 1;
	new = bpf_htons(ip->ttl << 8 | ip->protocol);
	ip->check = checksum_replace(ip->check, old, new);
	return verdict(XDP_PASS);
}

char _license[] SEC("license") = "Dual MIT/GPL";
