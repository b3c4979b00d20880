; Flags that the verifier does not know: the helper itself looks at them, and takes the number as 32 bits.
; accept
; run: ctx=[5,0,0] => retval=5 ctx=[0x5,0x0,0x5]
; run: ctx=[5,1,0] => retval=4294967274 ctx=[0x5,0x1,0xffffffffffffffea]
; run: ctx=[5,0xffffffffffffffff,0] => retval=4294967274 ctx=[0x5,0xffffffffffffffff,0xffffffffffffffea]
; run: ctx=[0x800001,0,0] => retval=4294967289 ctx=[0x800001,0x0,0xfffffffffffffff9]
; run: ctx=[0x800001,1,0] => retval=4294967274 ctx=[0x800001,0x1,0xffffffffffffffea]
; run: ctx=[0x100000003,0,0] => retval=3 ctx=[0x100000003,0x0,0x3]
; run: ctx=[0x100000000,0,0] => retval=0
.section syscall
main:
    r6 = r1
    r1 = *(u64 *)(r6 + 0)
    r2 = subprog[go_on]
    r3 = 0
    r4 = *(u64 *)(r6 + 8)
    call bpf_loop
    *(u64 *)(r6 + 16) = r0
    exit
go_on:
    r0 = 0
    exit
