; A program that gives back its first argument's word.
; accept
; run: ctx=[5,0] => retval=5 ctx=[0x5,0x19]
; run: ctx=[-1,0] => retval=4294967295 ctx=[0xffffffffffffffff,0x1]
.section syscall
main:
    r0 = *(u64 *)(r1 + 0)
    r2 = r0
    r2 *= r2
    *(u64 *)(r1 + 8) = r2
    exit
