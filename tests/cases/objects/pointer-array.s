; A pointer in a value: 0 gives it an object with a number, 1 takes that out, 2 reads the number in place, 3 updates the element.
; accept
; run: ctx=[0,5,0] => retval=0
; run: ctx=[2,0,0] => retval=5
; run: ctx=[0,6,0] => retval=5
; run: ctx=[2,0,0] => retval=6
; run: ctx=[1,0,0] => retval=6
; run: ctx=[1,0,0] => retval=0
; run: ctx=[2,0,0] => retval=0
; run: ctx=[0,7,0] => retval=0
; run: ctx=[3,0,0] => retval=0
; run: ctx=[2,0,0] => retval=0
; run: ctx=[1,0,0] => retval=0
; run: ctx=[0,8,0] => retval=0
.map holders type=array key=4 value=16 max_entries=4 fields=holder
.section syscall
main:
    r6 = r1
    r7 = *(u64 *)(r6 + 0)
    *(u32 *)(r10 - 4) = 0
    r1 = map[holders] ll
    r2 = r10
    r2 += -4
    call bpf_map_lookup_elem
    if r0 != 0 goto there
    *(u64 *)(r10 - 16) = 0
    *(u64 *)(r10 - 24) = 1
    r1 = map[holders] ll
    r2 = r10
    r2 += -4
    r3 = r10
    r3 += -24
    r4 = 0
    call bpf_map_update_elem
    r1 = map[holders] ll
    r2 = r10
    r2 += -4
    call bpf_map_lookup_elem
    if r0 == 0 goto none
there:
    r8 = r0
    r9 = 0
    if r7 == 1 goto exchange
    if r7 == 2 goto read
    if r7 == 3 goto update
    r1 = type plain
    r2 = 0
    call bpf_obj_new_impl
    if r0 == 0 goto none
    r9 = r0
    r1 = *(u64 *)(r6 + 8)
    *(u64 *)(r9 + 8) = r1
exchange:
    r1 = r8
    r1 += 8
    r2 = r9
    call bpf_kptr_xchg
    if r0 == 0 goto none
    r9 = *(u64 *)(r0 + 8)
    r1 = r0
    r2 = 0
    call bpf_obj_drop_impl
    r0 = r9
    exit
read:
    call bpf_rcu_read_lock
    r1 = *(u64 *)(r8 + 8)
    if r1 == 0 goto unread
    r9 = *(u64 *)(r1 + 8)
unread:
    call bpf_rcu_read_unlock
    r0 = r9
    exit
update:
    r1 = 2
    *(u64 *)(r10 - 24) = r1
    r1 = -1
    *(u64 *)(r10 - 16) = r1
    r1 = map[holders] ll
    r2 = r10
    r2 += -4
    r3 = r10
    r3 += -24
    r4 = 0
    call bpf_map_update_elem
    exit
none:
    r0 = 0
    exit
