; Nothing was written: the callback is not called. Other flags than those about waking are refused.
; accept
; run: ctx=[0] => retval=0
; run: ctx=[1] => retval=0
; run: ctx=[2] => retval=0
; run: ctx=[3] => retval=0
; run: ctx=[4] => retval=4294967274
; run: ctx=[0x100000000] => retval=4294967274
.map samples type=user_ringbuf key=0 value=0 max_entries=4096
.section syscall
main:
    r4 = *(u64 *)(r1 + 0)
    r1 = map[samples] ll
    r2 = subprog[see]
    r3 = 0
    call bpf_user_ringbuf_drain
    exit
see:
    r0 = 1
    exit
