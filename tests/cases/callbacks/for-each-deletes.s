; The callback deletes each element that it sees: all are seen, none is left.
; accept
; run: ctx=[0,0] => retval=0 ctx=[0x32]+zeros:8
; run: ctx=[0,0] => retval=0 ctx=[0x32]+zeros:8
.section syscall
.map table type=hash key=8 value=8 max_entries=64
main:
    r6 = r1
    r7 = 50
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
    r1 = map[table] ll
    r2 = subprog[delete]
    r3 = 0
    r4 = 0
    call bpf_for_each_map_elem
    *(u64 *)(r6 + 0) = r0
    r1 = map[table] ll
    r2 = subprog[delete]
    r3 = 0
    r4 = 0
    call bpf_for_each_map_elem
    *(u64 *)(r6 + 8) = r0
    r0 = 0
    exit
delete:
    call bpf_map_delete_elem
    r0 = 0
    exit
