; ldxsxw off -8: Loads 32 bits, sign-extended to 64 (cpu v4).
; accept
; run: ctx=[0x0,0xffffffffffffffff]+zeros:48 => retval=0
; run: ctx=[0x7,0xfffffffffffffff8,0xe0000]+zeros:40 => retval=0 ctx=[0x7,0xfffffffffffffff8,0xe0000,0x7]+zeros:32
; run: ctx=[0x20,0xffffffffffffffdf,0x400000]+zeros:40 => retval=0 ctx=[0x20,0xffffffffffffffdf,0x400000,0x20]+zeros:32
; run: ctx=[0x40,0xffffffffffffffbf,0x800000]+zeros:40 => retval=0 ctx=[0x40,0xffffffffffffffbf,0x800000,0x40]+zeros:32
; run: ctx=[0x80,0xffffffffffffff7f,0x1000000]+zeros:40 => retval=0 ctx=[0x80,0xffffffffffffff7f,0x1000000,0x80]+zeros:32
; run: ctx=[0x8000,0xffffffffffff7fff,0x100000000]+zeros:40 => retval=0 ctx=[0x8000,0xffffffffffff7fff,0x100000000,0x8000]+zeros:32
; run: ctx=[0x80000000,0xffffffff7fffffff,0x1000000000000]+zeros:40 => retval=0 ctx=[0x80000000,0xffffffff7fffffff,0x1000000000000,0xffffffff80000000]+zeros:32
; run: ctx=[0x123456789abcdef,0xfedcba9876543210,0x8acf13579bde0246]+zeros:40 => retval=0 ctx=[0x123456789abcdef,0xfedcba9876543210,0x8acf13579bde0246,0xffffffff89abcdef]+zeros:32
; run: ctx=[0x8000000000000000,0x7fffffffffffffff,0x10000]+zeros:40 => retval=0
; run: ctx=[0xffffffffffffffff,0x0,0xffffffffffffffff]+zeros:40 => retval=0 ctx=[0xffffffffffffffff,0x0,0xffffffffffffffff,0xffffffffffffffff]+zeros:32
.section syscall
main:
    r6 = r1
    r7 = *(u64 *)(r6 + 0x0)
    r8 = *(u64 *)(r6 + 0x8)
    *(u64 *)(r10 - 0x8) = r7
    r8 = *(s32 *)(r10 - 0x8)
    *(u64 *)(r6 + 0x18) = r8
    r0 = 0x0
    exit
