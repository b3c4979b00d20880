; An object with two owners goes into a list once: the second time it is refused, and loses that owner.
; accept
; run: ctx=[0,0,0,0] => retval=0 ctx=[0x0,0x0,0xffffffea,0x4d]
; run: ctx=[0,0,0,0] => retval=0 ctx=[0x0,0x0,0xffffffea,0x4d]
.map lists type=array key=4 value=56 max_entries=1 fields=lists
.section syscall
main:
    r6 = r1
    r7 = *(u64 *)(r6 + 0)
    *(u32 *)(r10 - 4) = 0
    r1 = map[lists] ll
    r2 = r10
    r2 += -4
    call bpf_map_lookup_elem
    if r0 == 0 goto none
    r8 = r0
    r1 = type item
    r2 = 0
    call bpf_obj_new_impl
    if r0 == 0 goto none
    r9 = r0
    *(u64 *)(r9 + 0) = 77
    r1 = r9
    r2 = 0
    call bpf_refcount_acquire_impl
    r7 = r0
    r1 = r8
    call bpf_spin_lock
    r1 = r8
    r1 += 8
    r2 = r9
    r2 += 8
    r3 = 0
    r4 = 0
    call bpf_list_push_front_impl
    *(u64 *)(r6 + 8) = r0
    r1 = r8
    r1 += 8
    r2 = r7
    r2 += 8
    r3 = 0
    r4 = 0
    call bpf_list_push_back_impl
    *(u64 *)(r6 + 16) = r0
    r1 = r8
    r1 += 8
    call bpf_list_pop_back
    r7 = r0
    r1 = r8
    call bpf_spin_unlock
    if r7 == 0 goto none
    r7 += -8
    r9 = *(u64 *)(r7 + 0)
    *(u64 *)(r6 + 24) = r9
    r1 = r7
    r2 = 0
    call bpf_obj_drop_impl
none:
    r0 = 0
    exit
