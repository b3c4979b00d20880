# Counts packets by IP protocol: protocols.bpf.c as assembly. It runs as it is:
#
#     skep run examples/protocols/protocols.s --on lo
#
# SPDX-License-Identifier: MIT OR Apache-2.0

.license "Dual MIT/GPL"
.map packets type=array key=4 value=8 max_entries=256

.section socket
count_protocols:
	r6 = r1                         # the packet loads below want the context in r6
	r0 = *(u16 *)skb[12]            # Ethernet: EtherType
	if r0 == 0x86dd goto ipv6
	if r0 != 0x800 goto out
	r0 = *(u8 *)skb[23]             # IPv4: protocol
	goto count
ipv6:
	r0 = *(u8 *)skb[20]             # IPv6: next header
count:
	*(u32 *)(r10 - 4) = r0
	r2 = r10
	r2 += -4
	r1 = map[packets] ll
	call bpf_map_lookup_elem
	if r0 == 0 goto out
	r1 = 1
	lock *(u64 *)(r0 + 0) += r1
out:
	r0 = 0
	exit
