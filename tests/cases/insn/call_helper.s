; call_helper: Calls a helper by its number.
; accept
; run: ctx=zeros:64 => retval=0 ctx=[0x0,0x0,0x0,0x1]+zeros:32
.section syscall
main:
    r6 = r1
    r7 = *(u64 *)(r6 + 0x0)
    r8 = *(u64 *)(r6 + 0x8)
    call 0x5
    r7 = 0x1
    if r0 != 0x0 goto +0x1
    r7 = 0x0
    *(u64 *)(r6 + 0x18) = r7
    r0 = 0x0
    exit
