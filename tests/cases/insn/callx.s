; callx: Calls the address in a register (clang; unknown to Linux 6.18).
; reject: unknown opcode 8d
.section syscall
main:
    r6 = r1
    r7 = *(u64 *)(r6 + 0x0)
    r8 = *(u64 *)(r6 + 0x8)
    callx r7
    *(u64 *)(r6 + 0x18) = r7
    *(u64 *)(r6 + 0x20) = r8
    r0 = 0x0
    exit
