; lddw 0x7fff: Loads a 64-bit constant.
; accept
; run: ctx=zeros:64 => retval=0 ctx=[0x0,0x0,0x0,0x7fff]+zeros:32
.section syscall
main:
    r6 = r1
    r7 = *(u64 *)(r6 + 0x0)
    r8 = *(u64 *)(r6 + 0x8)
    r7 = 0x7fff ll
    *(u64 *)(r6 + 0x18) = r7
    r0 = 0x0
    exit
