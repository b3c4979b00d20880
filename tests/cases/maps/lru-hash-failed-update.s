; Linux takes and writes the new element of an LRU hash before it looks for the old one: an update that fails has written
; its value to the memory of the element that was deleted last.
; accept
; run: ctx=[0] => retval=9
.map table type=lru_hash key=8 value=8 max_entries=512
.section syscall
main:
    *(u64 *)(r10 - 16) = 1
    *(u64 *)(r10 - 8) = 1
    r1 = map[table] ll
    r2 = r10
    r2 += -8
    r3 = r10
    r3 += -16
    r4 = 0
    call bpf_map_update_elem
    r1 = map[table] ll
    r2 = r10
    r2 += -8
    call bpf_map_lookup_elem
    if r0 == 0 goto out
    r6 = r0
    r1 = map[table] ll
    r2 = r10
    r2 += -8
    call bpf_map_delete_elem
    *(u64 *)(r10 - 16) = 9
    *(u64 *)(r10 - 8) = 2
    r1 = map[table] ll
    r2 = r10
    r2 += -8
    r3 = r10
    r3 += -16
    r4 = 2
    call bpf_map_update_elem
    r0 = *(u64 *)(r6 + 0)
out:
    exit
