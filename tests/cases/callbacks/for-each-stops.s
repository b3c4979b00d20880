; A callback that returns 1 is the last one; an empty map has no element, an array always all.
; accept
; run: ctx=[0,0,0,0] => retval=0 ctx=[0x6,0x8]+zeros:16
.section syscall
.map eight type=array key=4 value=4 max_entries=8
.map none type=hash key=4 value=4 max_entries=8
main:
    r6 = r1
    r1 = map[eight] ll
    r2 = subprog[until_five]
    r3 = 0
    r4 = 0
    call bpf_for_each_map_elem
    *(u64 *)(r6 + 0) = r0
    r1 = map[eight] ll
    r2 = subprog[go_on]
    r3 = 0
    r4 = 0
    call bpf_for_each_map_elem
    *(u64 *)(r6 + 8) = r0
    r1 = map[none] ll
    r2 = subprog[go_on]
    r3 = 0
    r4 = 0
    call bpf_for_each_map_elem
    *(u64 *)(r6 + 16) = r0
    r0 = 0
    exit
until_five:
    r0 = 0
    r1 = *(u32 *)(r2 + 0)
    if r1 != 5 goto l1
    r0 = 1
l1:
    exit
go_on:
    r0 = 0
    exit
