; Which element's memory a pointer leads to when the element is gone, on one CPU. A hash without preallocation: what is deleted or replaced serves the next element, new or not.
; accept
; run: ctx=[0] => retval=67371783
; run: ctx=[0] => retval=67371783
.map table type=hash key=8 value=8 max_entries=4 flags=1
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
    *(u64 *)(r10 - 16) = 6
    *(u64 *)(r10 - 8) = 2
    r1 = map[table] ll
    r2 = r10
    r2 += -8
    r3 = r10
    r3 += -16
    r4 = 0
    call bpf_map_update_elem
    *(u64 *)(r10 - 8) = 1
    r1 = map[table] ll
    r2 = r10
    r2 += -8
    call bpf_map_delete_elem
    *(u64 *)(r10 - 16) = 7
    *(u64 *)(r10 - 8) = 2
    r1 = map[table] ll
    r2 = r10
    r2 += -8
    r3 = r10
    r3 += -16
    r4 = 0
    call bpf_map_update_elem
    r9 = *(u64 *)(r6 + 0)
    r1 = map[table] ll
    r2 = r10
    r2 += -8
    call bpf_map_delete_elem
    *(u64 *)(r10 - 16) = 2
    *(u64 *)(r10 - 8) = 2
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
    r7 = r0
    *(u64 *)(r10 - 16) = 3
    *(u64 *)(r10 - 8) = 2
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
    r8 = r0
    *(u64 *)(r10 - 16) = 4
    *(u64 *)(r10 - 8) = 3
    r1 = map[table] ll
    r2 = r10
    r2 += -8
    r3 = r10
    r3 += -16
    r4 = 0
    call bpf_map_update_elem
    *(u64 *)(r10 - 16) = 5
    *(u64 *)(r10 - 8) = 2
    r1 = map[table] ll
    r2 = r10
    r2 += -8
    r3 = r10
    r3 += -16
    r4 = 0
    call bpf_map_update_elem
    r0 = *(u64 *)(r6 + 0)
    r0 <<= 8
    r1 = *(u64 *)(r7 + 0)
    r0 |= r1
    r0 <<= 8
    r1 = *(u64 *)(r8 + 0)
    r0 |= r1
    r0 <<= 8
    r0 |= r9
out:
    exit
