; A lock that notices deadlocks: the same lock by another way to it is refused, -EDEADLK, and it can be had again afterwards.
; accept
; run: data=zeros:16 => retval=4294967261
; run: data=zeros:16 => retval=4294967261
; map trees: 00000000=[0x200000000]+zeros:16
.map trees type=array key=4 value=24 max_entries=1 fields=restrees
.section tc
main:
    r9 = 0
    *(u32 *)(r10 - 4) = 0
    r1 = map[trees] ll
    r2 = r10
    r2 += -4
    call bpf_map_lookup_elem
    if r0 == 0 goto none
    r6 = r0
    r1 = map[trees] ll
    r2 = r10
    r2 += -4
    call bpf_map_lookup_elem
    if r0 == 0 goto none
    r7 = r0
    r1 = r6
    call bpf_res_spin_lock
    if r0 != 0 goto none
    r1 = *(u32 *)(r6 + 4)
    r1 += 1
    *(u32 *)(r6 + 4) = r1
    r1 = r7
    call bpf_res_spin_lock
    if r0 == 0 goto both
    r9 = r0
    goto first
both:
    r1 = r7
    call bpf_res_spin_unlock
first:
    r1 = r6
    call bpf_res_spin_unlock
none:
    w0 = w9
    exit
