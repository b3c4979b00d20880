; stxh off -8: Stores the low 2 bytes of a register.
; accept
; run: ctx=[0x0,0xffffffffffffffff]+zeros:48 => retval=0 ctx=[0x0,0xffffffffffffffff,0x0,0xffff]+zeros:32
; run: ctx=[0x7,0xfffffffffffffff8,0xe0000]+zeros:40 => retval=0 ctx=[0x7,0xfffffffffffffff8,0xe0000,0xfff8]+zeros:32
; run: ctx=[0x20,0xffffffffffffffdf,0x400000]+zeros:40 => retval=0 ctx=[0x20,0xffffffffffffffdf,0x400000,0xffdf]+zeros:32
; run: ctx=[0x40,0xffffffffffffffbf,0x800000]+zeros:40 => retval=0 ctx=[0x40,0xffffffffffffffbf,0x800000,0xffbf]+zeros:32
; run: ctx=[0x80,0xffffffffffffff7f,0x1000000]+zeros:40 => retval=0 ctx=[0x80,0xffffffffffffff7f,0x1000000,0xff7f]+zeros:32
; run: ctx=[0x8000,0xffffffffffff7fff,0x100000000]+zeros:40 => retval=0 ctx=[0x8000,0xffffffffffff7fff,0x100000000,0x7fff]+zeros:32
; run: ctx=[0x80000000,0xffffffff7fffffff,0x1000000000000]+zeros:40 => retval=0 ctx=[0x80000000,0xffffffff7fffffff,0x1000000000000,0x8000ffff]+zeros:32
; run: ctx=[0x123456789abcdef,0xfedcba9876543210,0x8acf13579bde0246]+zeros:40 => retval=0 ctx=[0x123456789abcdef,0xfedcba9876543210,0x8acf13579bde0246,0x123456789ab3210]+zeros:32
; run: ctx=[0x8000000000000000,0x7fffffffffffffff,0x10000]+zeros:40 => retval=0 ctx=[0x8000000000000000,0x7fffffffffffffff,0x10000,0x800000000000ffff]+zeros:32
; run: ctx=[0xffffffffffffffff,0x0,0xffffffffffffffff]+zeros:40 => retval=0 ctx=[0xffffffffffffffff,0x0,0xffffffffffffffff,0xffffffffffff0000]+zeros:32
.section syscall
main:
    r6 = r1
    r7 = *(u64 *)(r6 + 0x0)
    r8 = *(u64 *)(r6 + 0x8)
    *(u64 *)(r10 - 0x8) = r7
    *(u16 *)(r10 - 0x8) = w8
    r1 = *(u64 *)(r10 - 0x8)
    *(u64 *)(r6 + 0x18) = r1
    r0 = 0x0
    exit
