; movsx32_8, movsx32_16, movsx64_8, movsx64_16, movsx64_32: Sign-extends the low 8 bits to 32.
; Operands in the first two words, one result a word behind them.
; accept
; run: ctx=zeros:56 => retval=0
; run: ctx=[0x1,0x1]+zeros:40 => retval=0 ctx=[0x1,0x1,0x1,0x1,0x1,0x1,0x1]
; run: ctx=[0x1,0xffffffffffffffff]+zeros:40 => retval=0 ctx=[0x1,0xffffffffffffffff,0x1,0x1,0x1,0x1,0x1]
; run: ctx=[0xffffffffffffffff,0x1]+zeros:40 => retval=0 ctx=[0xffffffffffffffff,0x1,0xffffffff,0xffffffff,0xffffffffffffffff,0xffffffffffffffff,0xffffffffffffffff]
; run: ctx=[0x8000000000000000,0xffffffffffffffff]+zeros:40 => retval=0
; run: ctx=[0x80000000,0xffffffff]+zeros:40 => retval=0 ctx=[0x80000000,0xffffffff,0x0,0x0,0x0,0x0,0xffffffff80000000]
; run: ctx=[0x7fffffff,0x1f]+zeros:40 => retval=0 ctx=[0x7fffffff,0x1f,0xffffffff,0xffffffff,0xffffffffffffffff,0xffffffffffffffff,0x7fffffff]
; run: ctx=[0x123456789abcdef,0x20]+zeros:40 => retval=0 ctx=[0x123456789abcdef,0x20,0xffffffef,0xffffcdef,0xffffffffffffffef,0xffffffffffffcdef,0xffffffff89abcdef]
; run: ctx=[0x123456789abcdef,0x3f]+zeros:40 => retval=0 ctx=[0x123456789abcdef,0x3f,0xffffffef,0xffffcdef,0xffffffffffffffef,0xffffffffffffcdef,0xffffffff89abcdef]
; run: ctx=[0xfedcba9876543210,0x40]+zeros:40 => retval=0 ctx=[0xfedcba9876543210,0x40,0x10,0x3210,0x10,0x3210,0x76543210]
; run: ctx=[0xffffffff80000000,0x100000001]+zeros:40 => retval=0 ctx=[0xffffffff80000000,0x100000001,0x0,0x0,0x0,0x0,0xffffffff80000000]
; run: ctx=[0x7fffffffffffffff,0x8000000080000000]+zeros:40 => retval=0 ctx=[0x7fffffffffffffff,0x8000000080000000,0xffffffff,0xffffffff,0xffffffffffffffff,0xffffffffffffffff,0xffffffffffffffff]
.section syscall
main:
    r6 = r1
    r7 = *(u64 *)(r6 + 0x0)
    r8 = *(u64 *)(r6 + 0x8)
    w3 = (s8)w7
    *(u64 *)(r6 + 0x10) = r3
    w3 = (s16)w7
    *(u64 *)(r6 + 0x18) = r3
    r3 = (s8)r7
    *(u64 *)(r6 + 0x20) = r3
    r3 = (s16)r7
    *(u64 *)(r6 + 0x28) = r3
    r3 = (s32)r7
    *(u64 *)(r6 + 0x30) = r3
    r0 = 0x0
    exit
