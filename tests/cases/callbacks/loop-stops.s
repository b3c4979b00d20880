; A callback that returns 1 is the last one: the result counts it.
; accept
; run: ctx=[0,100] => retval=1
; run: ctx=[1,100] => retval=2
; run: ctx=[99,100] => retval=100
; run: ctx=[100,100] => retval=100
; run: ctx=[5,0] => retval=0
.section syscall
main:
    r6 = r1
    r1 = *(u64 *)(r6 + 0)
    *(u64 *)(r10 - 8) = r1
    r1 = *(u64 *)(r6 + 8)
    r2 = subprog[until]
    r3 = r10
    r3 += -8
    r4 = 0
    call bpf_loop
    exit
until:
    r0 = 0
    r3 = *(u64 *)(r2 + 0)
    if r1 < r3 goto +1
    r0 = 1
    exit
