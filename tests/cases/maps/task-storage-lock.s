; A value with a lock.
; accept
; run: ctx=[0] => retval=3
; run: ctx=[0] => retval=6
.map kept type=task_storage key=4 value=12 max_entries=0 flags=BPF_F_NO_PREALLOC lock=8
.section syscall
main:
    call bpf_get_current_task_btf
    r1 = map[kept] ll
    r2 = r0
    r3 = 0
    r4 = 1
    call bpf_task_storage_get
    if r0 == 0 goto none
    r6 = r0
    r1 = r6
    r1 += 8
    call bpf_spin_lock
    r7 = *(u64 *)(r6 + 0)
    r7 += 3
    *(u64 *)(r6 + 0) = r7
    r1 = r6
    r1 += 8
    call bpf_spin_unlock
    r0 = r7
    exit
none:
    r0 = -1
    exit
