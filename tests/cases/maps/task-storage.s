; A value for the running thread: made when asked for, kept from run to run, gone when deleted. The context's words: what
; (0 look, 1 look or make, 2 delete, 3 make of another value), flags of the first.
; accept
; run: ctx=[0,0] => retval=4294967196
; run: ctx=[2,0] => retval=4294967294
; run: ctx=[0,2] => retval=4294967196
; run: ctx=[1,0] => retval=1
; run: ctx=[1,0] => retval=2
; run: ctx=[0,0] => retval=3
; run: ctx=[0,3] => retval=4294967196
; run: ctx=[3,0] => retval=4
; run: ctx=[2,0] => retval=0
; run: ctx=[0,0] => retval=4294967196
; run: ctx=[3,0] => retval=1833
; run: ctx=[1,0] => retval=1834
; run: ctx=[2,0] => retval=0
; run: ctx=[2,0] => retval=4294967294
.map kept type=task_storage key=4 value=12 max_entries=0 flags=BPF_F_NO_PREALLOC
.section syscall
main:
    r6 = *(u64 *)(r1 + 0)
    r7 = *(u64 *)(r1 + 8)
    call bpf_get_current_task_btf
    r2 = r0
    r1 = map[kept] ll
    if r6 == 2 goto delete
    r3 = 0
    r4 = r7
    if r6 == 0 goto get
    r4 = 1
    if r6 == 1 goto get
    *(u64 *)(r10 - 16) = 40
    *(u32 *)(r10 - 8) = 7
    r3 = r10
    r3 += -16
get:
    call bpf_task_storage_get
    if r0 == 0 goto none
    r1 = *(u64 *)(r0 + 0)
    r1 += 1
    *(u64 *)(r0 + 0) = r1
    r2 = *(u32 *)(r0 + 8)
    r0 = r1
    r2 <<= 8
    r0 += r2
    exit
none:
    r0 = -100
    exit
delete:
    call bpf_task_storage_delete
    exit
