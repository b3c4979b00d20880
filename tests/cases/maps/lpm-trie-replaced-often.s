; A run that replaces an element of a trie five thousand times has five thousand old ones: they wait, but do not count for
; max_entries. Its first pointer still leads to the first value.
; accept
; run: data=zeros:14 => retval=77
; run: data=zeros:14 => retval=77
.map routes type=lpm_trie key=8 value=8 max_entries=1 flags=1
.section xdp
main:
    *(u64 *)(r10 - 16) = 77
    *(u32 *)(r10 - 8) = 16
    *(u32 *)(r10 - 4) = 0x020a
    r1 = map[routes] ll
    r2 = r10
    r2 += -8
    r3 = r10
    r3 += -16
    r4 = 0
    call bpf_map_update_elem
    r1 = map[routes] ll
    r2 = r10
    r2 += -8
    call bpf_map_lookup_elem
    if r0 == 0 goto out
    r6 = r0
    r7 = 5000
again:
    *(u64 *)(r10 - 16) = r7
    r1 = map[routes] ll
    r2 = r10
    r2 += -8
    r3 = r10
    r3 += -16
    r4 = 2
    call bpf_map_update_elem
    if r0 != 0 goto out
    r7 += -1
    if r7 != 0 goto again
    r0 = *(u64 *)(r6 + 0)
out:
    exit
