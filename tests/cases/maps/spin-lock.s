; A value under its lock; the lock itself is in no copy.
; accept
; run: ctx=[5] => retval=5
; map locked: 00000000=[0x5]+zeros:8
.map locked type=array key=4 value=16 max_entries=1 lock=8
.section syscall
main:
    r7 = *(u64 *)(r1 + 0)
    *(u32 *)(r10 - 4) = 0
    r1 = map[locked] ll
    r2 = r10
    r2 += -4
    call bpf_map_lookup_elem
    if r0 == 0 goto out
    r6 = r0
    r1 = r6
    r1 += 8
    call bpf_spin_lock
    *(u64 *)(r6 + 0) = r7
    r1 = r6
    r1 += 8
    call bpf_spin_unlock
    r0 = *(u64 *)(r6 + 0)
out:
    exit
