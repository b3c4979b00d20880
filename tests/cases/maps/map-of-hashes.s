; Maps of one map of maps, used side by side: each keeps its own elements, and a key is deleted from one only.
; slot tables 6100000000000000: left
; slot tables 6200000000000000: right
; accept
; run: ctx=[0x61,1] => retval=1000
; run: ctx=[0x62,1] => retval=4294966882
; run: ctx=[0x62,2] => retval=4294966882
; run: ctx=[0x63,1] => retval=7
; map left: 
; map right: 0100000000000000=[0x62] 0200000000000000=[0x62]
.map left type=hash key=8 value=8 max_entries=4
.map right type=hash key=8 value=8 max_entries=9
.map tables type=hash_of_maps key=8 value=4 max_entries=4 inner=left
.section syscall
main:
    r6 = *(u64 *)(r1 + 0)
    r7 = *(u64 *)(r1 + 8)
    *(u64 *)(r10 - 8) = r6
    *(u64 *)(r10 - 16) = r7
    r1 = map[tables] ll
    r2 = r10
    r2 += -8
    call bpf_map_lookup_elem
    if r0 == 0 goto nothing
    r8 = r0
    r1 = r0
    r2 = r10
    r2 += -16
    r3 = r10
    r3 += -8
    r4 = 1
    call bpf_map_update_elem
    r9 = r0
    *(u64 *)(r10 - 8) = 0x61
    r1 = map[tables] ll
    r2 = r10
    r2 += -8
    call bpf_map_lookup_elem
    if r0 == 0 goto nothing
    r1 = r0
    r2 = r10
    r2 += -16
    call bpf_map_delete_elem
    r9 += r0
    r1 = r8
    r2 = r10
    r2 += -16
    call bpf_map_lookup_elem
    if r0 == 0 goto gone
    r9 <<= 8
    r0 = *(u64 *)(r0 + 0)
    r0 += r9
    exit
gone:
    r0 = r9
    r0 += 1000
    exit
nothing:
    r0 = 7
    exit
