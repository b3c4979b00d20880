; For each pair of elements of two maps, keys of both frames readable at once.
; accept
; run: ctx=[0,0] => retval=0 ctx=[0x5,0xdc]
.section syscall
.map rows type=array key=4 value=4 max_entries=5
.map columns type=array key=4 value=4 max_entries=7
main:
    r6 = r1
    *(u64 *)(r10 - 8) = 0
    r1 = map[rows] ll
    r2 = subprog[row]
    r3 = r10
    r3 += -8
    r4 = 0
    call bpf_for_each_map_elem
    *(u64 *)(r6 + 0) = r0
    r1 = *(u64 *)(r10 - 8)
    *(u64 *)(r6 + 8) = r1
    r0 = 0
    exit
row:
    r6 = r2
    r7 = r4
    r1 = *(u32 *)(r6 + 0)
    *(u64 *)(r10 - 8) = r1
    *(u64 *)(r10 - 16) = 0
    r1 = map[columns] ll
    r2 = subprog[column]
    r3 = r10
    r3 += -16
    r4 = 0
    call bpf_for_each_map_elem
    r1 = *(u64 *)(r10 - 16)
    r2 = *(u32 *)(r6 + 0)
    r1 += r2
    r2 = *(u64 *)(r7 + 0)
    r2 += r1
    *(u64 *)(r7 + 0) = r2
    r0 = 0
    exit
column:
    r1 = *(u32 *)(r2 + 0)
    r3 = *(u64 *)(r4 + 8)
    r1 *= r3
    r3 = *(u64 *)(r4 + 0)
    r3 += r1
    *(u64 *)(r4 + 0) = r3
    r0 = 0
    exit
