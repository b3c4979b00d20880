; addr_space_cast: Converts a pointer between address spaces (arenas).
; reject: addr_space_cast insn can only be used in a program that has an associated arena
.section syscall
main:
    r6 = r1
    r7 = *(u64 *)(r6 + 0x0)
    r8 = *(u64 *)(r6 + 0x8)
    r7 = addr_space_cast(r8, 0x0, 0x1)
    *(u64 *)(r6 + 0x18) = r7
    *(u64 *)(r6 + 0x20) = r8
    r0 = 0x0
    exit
