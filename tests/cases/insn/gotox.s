; gotox: Jumps to the address in a register (unknown to Linux 6.18).
; reject: unknown opcode 0d
.section syscall
main:
    r6 = r1
    r7 = *(u64 *)(r6 + 0x0)
    r8 = *(u64 *)(r6 + 0x8)
    gotox r7
    *(u64 *)(r6 + 0x18) = r7
    *(u64 *)(r6 + 0x20) = r8
    r0 = 0x0
    exit
