; Which function is called is found out at run time; then the number counts as 32 bits too.
; accept
; run: ctx=[5,0,0] => retval=5 ctx=[0x5,0x0,0x5]
; run: ctx=[5,1,0] => retval=15 ctx=[0x5,0x1,0x5]
; run: ctx=[0x100000002,1,0] => retval=6 ctx=[0x100000002,0x1,0x2]
.section syscall
main:
    r6 = r1
    *(u64 *)(r10 - 8) = 0
    r1 = *(u64 *)(r6 + 0)
    r5 = *(u64 *)(r6 + 8)
    r2 = subprog[one]
    if r5 == 0 goto l0
    r2 = subprog[three]
l0:
    r3 = r10
    r3 += -8
    r4 = 0
    call bpf_loop
    *(u64 *)(r6 + 16) = r0
    r0 = *(u64 *)(r10 - 8)
    exit
one:
    r3 = *(u64 *)(r2 + 0)
    r3 += 1
    *(u64 *)(r2 + 0) = r3
    r0 = 0
    exit
three:
    r3 = *(u64 *)(r2 + 0)
    r3 += 3
    *(u64 *)(r2 + 0) = r3
    r0 = 0
    exit
