; A tail call goes on in the program of its slot; one into an empty slot returns.
; program: main
; tail programs 1: other
; accept
; run: ctx=[1] => retval=7
; run: ctx=[0] => retval=3
.map programs type=prog_array key=4 value=4 max_entries=2
.section raw_tp
main:
    r3 = *(u64 *)(r1 + 0)
    r2 = map[programs] ll
    call bpf_tail_call
    r0 = 3
    exit
.section raw_tp
other:
    r0 = 7
    exit
