; Counts in the map that is in a slot; an empty slot, a slot outside and a key outside give nothing.
; slot counts 00000000: first
; slot counts 02000000: second
; slot counts 03000000: first
; accept
; run: ctx=[0,0] => retval=1
; run: ctx=[0,1] => retval=1
; run: ctx=[2,1] => retval=1
; run: ctx=[3,1] => retval=2
; run: ctx=[1,0] => retval=77
; run: ctx=[4,0] => retval=77
; run: ctx=[0,2] => retval=77
; map first: 00000000=[0x1] 01000000=[0x2]
; map second: 01000000=[0x1]
.map first type=array key=4 value=8 max_entries=2
.map second type=array key=4 value=8 max_entries=2
.map counts type=array_of_maps key=4 value=4 max_entries=4 inner=first
.section syscall
main:
    r6 = *(u64 *)(r1 + 0)
    r7 = *(u64 *)(r1 + 8)
    *(u32 *)(r10 - 4) = r6
    *(u32 *)(r10 - 8) = r7
    r1 = map[counts] ll
    r2 = r10
    r2 += -4
    call bpf_map_lookup_elem
    if r0 == 0 goto nothing
    r1 = r0
    r2 = r10
    r2 += -8
    call bpf_map_lookup_elem
    if r0 == 0 goto nothing
    r1 = *(u64 *)(r0 + 0)
    r1 += 1
    *(u64 *)(r0 + 0) = r1
    r0 = r1
    exit
nothing:
    r0 = 77
    exit
