; Every element is seen once, by key and value; the result is how many. Values may be changed.
; accept
; run: ctx=[0,0,0] => retval=3 ctx=[0x0,0x6,0xf]
; run: ctx=[0,0,0] => retval=3 ctx=[0x0,0x6,0xf]
; run: ctx=[1,0,0] => retval=4294967274
.section syscall
.map table type=hash key=4 value=8 max_entries=10
main:
    r6 = r1
    *(u64 *)(r10 - 8) = 0
    *(u64 *)(r10 - 16) = 0
    r1 = 5
    *(u64 *)(r10 - 24) = r1
    r7 = 3
fill:
    *(u64 *)(r10 - 32) = r7
    r1 = map[table] ll
    r2 = r10
    r2 += -32
    r3 = r10
    r3 += -24
    r4 = 0
    call bpf_map_update_elem
    r7 += -1
    if r7 != 0 goto fill
    r1 = map[table] ll
    r2 = subprog[see]
    r3 = r10
    r3 += -16
    r4 = *(u64 *)(r6 + 0)
    call bpf_for_each_map_elem
    r1 = *(u64 *)(r10 - 16)
    *(u64 *)(r6 + 8) = r1
    r1 = *(u64 *)(r10 - 8)
    *(u64 *)(r6 + 16) = r1
    exit
see:
    r1 = *(u32 *)(r2 + 0)
    r5 = *(u64 *)(r4 + 0)
    r5 += r1
    *(u64 *)(r4 + 0) = r5
    r1 = *(u64 *)(r3 + 0)
    r5 = *(u64 *)(r4 + 8)
    r5 += r1
    *(u64 *)(r4 + 8) = r5
    r1 += 1
    *(u64 *)(r3 + 0) = r1
    r0 = 0
    exit
