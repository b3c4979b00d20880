; may_goto: Jumps when the loop budget is spent (Linux 6.9).
; accept
; run: ctx=zeros:64 => retval=0 ctx=[0x0,0x0,0x0,0xa]+zeros:32
.section syscall
main:
    r6 = r1
    r7 = *(u64 *)(r6 + 0x0)
    r8 = *(u64 *)(r6 + 0x8)
    r0 = 0x0
    may_goto +0x2
    r0 += 0x1
    if r0 != 0xa goto -0x3
    *(u64 *)(r6 + 0x18) = r0
    r0 = 0x0
    exit
