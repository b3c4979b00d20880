; bpf_loop calls with 0, 1, …; the result is how often. No iteration, one, many; the sum goes through the stack.
; accept
; run: ctx=[0,0] => retval=0
; run: ctx=[1,0] => retval=1
; run: ctx=[5,0] => retval=5 ctx=[0x5,0xa]
; run: ctx=[1000,0] => retval=1000 ctx=[0x3e8,0x79f2c]
; run: ctx=[70000,0] => retval=70000 ctx=[0x11170,0x92077fc8]
.section syscall
main:
    r6 = r1
    r7 = *(u64 *)(r6 + 0)
    *(u64 *)(r10 - 8) = 0
    r1 = r7
    r2 = subprog[add]
    r3 = r10
    r3 += -8
    r4 = 0
    call bpf_loop
    r1 = *(u64 *)(r10 - 8)
    *(u64 *)(r6 + 8) = r1
    exit
add:
    r3 = *(u64 *)(r2 + 0)
    r3 += r1
    *(u64 *)(r2 + 0) = r3
    r0 = 0
    exit
