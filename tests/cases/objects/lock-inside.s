; An object with a lock and a list of its own: what is in the list goes with it.
; accept
; run: data=zeros:16 => retval=11
.map lists type=array key=4 value=56 max_entries=1 fields=lists
.section tc
main:
    r9 = 1
    r1 = type chain
    r2 = 0
    call bpf_obj_new_impl
    if r0 == 0 goto none
    r6 = r0
    r1 = type item
    r2 = 0
    call bpf_obj_new_impl
    if r0 == 0 goto one
    r7 = r0
    r1 = r6
    call bpf_spin_lock
    *(u32 *)(r6 + 4) = 11
    r1 = r6
    r1 += 8
    r2 = r7
    r2 += 8
    r3 = 0
    r4 = 0
    call bpf_list_push_front_impl
    r1 = r6
    call bpf_spin_unlock
    r9 = *(u32 *)(r6 + 4)
one:
    r1 = r6
    r2 = 0
    call bpf_obj_drop_impl
none:
    r0 = r9
    exit
