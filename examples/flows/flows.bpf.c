/* Packets and bytes of each IPv4 flow: a hash map with structs as key and value.
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "skep_bpf.h"

enum protocol {
	ICMP = 1,
	TCP = 6,
	UDP = 17,
};

struct flow {
	__u8 source[4];
	__u8 dest[4];
	__u16 source_port; /* host byte order; 0 for protocols without ports */
	__u16 dest_port;
	enum protocol protocol;
};

struct usage {
	__u64 packets;
	__u64 bytes;
	__u64 first_ns;
	__u64 last_ns;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct flow);
	__type(value, struct usage);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} flows SEC(".maps");

SEC("socket")
int count_flows(struct __sk_buff *skb)
{
	struct flow key = {};
	struct usage *usage;
	struct iphdr ip;
	__be16 ports[2];
	__u64 now = bpf_ktime_get_ns();

	if (load_half(skb, offsetof(struct ethhdr, h_proto)) != ETH_P_IP)
		return 0;
	if (bpf_skb_load_bytes(skb, ETH_HLEN, &ip, sizeof(ip)))
		return 0;
	__builtin_memcpy(key.source, &ip.saddr, 4);
	__builtin_memcpy(key.dest, &ip.daddr, 4);
	key.protocol = ip.protocol;
	if (ip.protocol == IPPROTO_TCP || ip.protocol == IPPROTO_UDP) {
		if (bpf_skb_load_bytes(skb, ETH_HLEN + ip.ihl * 4, ports, sizeof(ports)))
			return 0;
		key.source_port = bpf_ntohs(ports[0]);
		key.dest_port = bpf_ntohs(ports[1]);
	}

	usage = bpf_map_lookup_elem(&flows, &key);
	if (!usage) {
		struct usage new = { .packets = 1, .bytes = skb->len, .first_ns = now, .last_ns = now };

		if (bpf_map_update_elem(&flows, &key, &new, BPF_NOEXIST) == 0)
			return 0;
		usage = bpf_map_lookup_elem(&flows, &key); /* another CPU was faster */
		if (!usage)
			return 0;
	}
	__sync_fetch_and_add(&usage->packets, 1);
	__sync_fetch_and_add(&usage->bytes, skb->len);
	usage->last_ns = now;
	return 0;
}

char _license[] SEC("license") = "Dual MIT/GPL";
