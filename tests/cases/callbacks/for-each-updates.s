; The callback replaces each element that it sees: all are seen, once, and hold the new value.
; accept
; run: ctx=[0,0,0] => retval=0 ctx=[0x28,0x28,0x1108]
.section syscall
.map table type=hash key=8 value=8 max_entries=64
main:
    r6 = r1
    r7 = 40
    *(u64 *)(r10 - 16) = 9
fill:
    *(u64 *)(r10 - 8) = r7
    r1 = map[table] ll
    r2 = r10
    r2 += -8
    r3 = r10
    r3 += -16
    r4 = 0
    call bpf_map_update_elem
    r7 += -1
    if r7 != 0 goto fill
    *(u64 *)(r10 - 24) = 0
    r1 = map[table] ll
    r2 = subprog[replace]
    r3 = r10
    r3 += -24
    r4 = 0
    call bpf_for_each_map_elem
    *(u64 *)(r6 + 0) = r0
    r1 = *(u64 *)(r10 - 24)
    *(u64 *)(r6 + 8) = r1
    *(u64 *)(r10 - 24) = 0
    r1 = map[table] ll
    r2 = subprog[sum]
    r3 = r10
    r3 += -24
    r4 = 0
    call bpf_for_each_map_elem
    r1 = *(u64 *)(r10 - 24)
    *(u64 *)(r6 + 16) = r1
    r0 = 0
    exit
replace:
    r5 = *(u64 *)(r4 + 0)
    r5 += 1
    *(u64 *)(r4 + 0) = r5
    r5 = *(u64 *)(r3 + 0)
    r5 += 100
    *(u64 *)(r10 - 8) = r5
    r3 = r10
    r3 += -8
    r4 = 2
    call bpf_map_update_elem
    r0 = 0
    exit
sum:
    r5 = *(u64 *)(r4 + 0)
    r1 = *(u64 *)(r3 + 0)
    r5 += r1
    *(u64 *)(r4 + 0) = r5
    r0 = 0
    exit
