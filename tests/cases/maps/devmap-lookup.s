; An element is the interface's number, to be read; an empty one is NULL.
; element out 01000000: 01000000
; accept
; run: data=0000000000000000000000000000 => retval=4294967295
; run: data=0100000000000000000000000000 => retval=101
; run: data=0200000000000000000000000000 => retval=4294967295
.map out type=devmap key=4 value=4 max_entries=2
.section xdp
main:
    r2 = *(u32 *)(r1 + 0)
    r3 = *(u32 *)(r1 + 4)
    r4 = r2
    r4 += 14
    if r4 > r3 goto none
    r6 = *(u8 *)(r2 + 0)
    *(u32 *)(r10 - 4) = r6
    r1 = map[out] ll
    r2 = r10
    r2 += -4
    call bpf_map_lookup_elem
    if r0 == 0 goto none
    r0 = *(u32 *)(r0 + 0)
    r0 += 100
    exit
none:
    r0 = -1
    exit
