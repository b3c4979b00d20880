; An element of a trie that is replaced stays what it was for the run that has a pointer to it, and so does one that is
; deleted: its loads and stores reach neither the new element nor others that come. An old node may be used again only
; once no run is left that may hold it, so the second run sees the same.
; accept
; run: data=zeros:14 => retval=1543
; run: data=zeros:14 => retval=1543
.map routes type=lpm_trie key=8 value=8 max_entries=5 flags=1
.section xdp
main:
    *(u64 *)(r10 - 16) = 1
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
    *(u64 *)(r10 - 16) = 2
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
    r7 = r0
    r1 = map[routes] ll
    r2 = r10
    r2 += -8
    call bpf_map_delete_elem
    *(u64 *)(r10 - 16) = 3
    *(u32 *)(r10 - 8) = 24
    *(u32 *)(r10 - 4) = 0x03020a
    r1 = map[routes] ll
    r2 = r10
    r2 += -8
    r3 = r10
    r3 += -16
    r4 = 0
    call bpf_map_update_elem
    *(u64 *)(r10 - 16) = 4
    *(u32 *)(r10 - 8) = 8
    *(u32 *)(r10 - 4) = 0x0b
    r1 = map[routes] ll
    r2 = r10
    r2 += -8
    r3 = r10
    r3 += -16
    r4 = 0
    call bpf_map_update_elem
    *(u64 *)(r10 - 16) = 5
    *(u32 *)(r10 - 8) = 32
    *(u32 *)(r10 - 4) = 0x04050607
    r1 = map[routes] ll
    r2 = r10
    r2 += -8
    r3 = r10
    r3 += -16
    r4 = 0
    call bpf_map_update_elem
    *(u64 *)(r6 + 0) = 6
    *(u64 *)(r7 + 0) = 7
    r0 = *(u64 *)(r6 + 0)
    r1 = *(u64 *)(r7 + 0)
    r0 <<= 8
    r0 |= r1
out:
    exit
