; Each run adds the prefix that the packet holds (length, 4 bytes) and looks up 10.2.3.4: the value is the length
; of the longest prefix so far that matches. A prefix longer than the key is refused.
; accept
; run: data=zeros:14+08000000+0a000000+zeros:8 => retval=8
; run: data=zeros:14+10000000+0a020000+zeros:8 => retval=16
; run: data=zeros:14+18000000+0a020900+zeros:8 => retval=16
; run: data=zeros:14+00000000+00000000+zeros:8 => retval=16
; run: data=zeros:14+21000000+0a020304+zeros:8 => retval=4294967274
.map routes type=lpm_trie key=8 value=8 max_entries=8 flags=1
.section socket
main:
    r2 = 0
    r3 = r10
    r3 += -8
    r4 = 8
    call bpf_skb_load_bytes
    if r0 != 0 goto out
    r1 = *(u32 *)(r10 - 8)
    *(u64 *)(r10 - 16) = r1
    r1 = map[routes] ll
    r2 = r10
    r2 += -8
    r3 = r10
    r3 += -16
    r4 = 0
    call bpf_map_update_elem
    if r0 != 0 goto out
    *(u32 *)(r10 - 8) = 32
    *(u32 *)(r10 - 4) = 0x0403020a
    r1 = map[routes] ll
    r2 = r10
    r2 += -8
    call bpf_map_lookup_elem
    if r0 == 0 goto none
    r0 = *(u64 *)(r0 + 0)
    exit
none:
    r0 = 99
out:
    exit
