; le16, le32, le64: The low 16 bits in little-endian order, zero-extended.
; Operands in the first two words, one result a word behind them.
; accept
; run: ctx=zeros:40 => retval=0
; run: ctx=[0x1,0x1]+zeros:24 => retval=0 ctx=[0x1,0x1,0x1,0x1,0x1]
; run: ctx=[0x1,0xffffffffffffffff]+zeros:24 => retval=0 ctx=[0x1,0xffffffffffffffff,0x1,0x1,0x1]
; run: ctx=[0xffffffffffffffff,0x1]+zeros:24 => retval=0 ctx=[0xffffffffffffffff,0x1,0xffff,0xffffffff,0xffffffffffffffff]
; run: ctx=[0x8000000000000000,0xffffffffffffffff]+zeros:24 => retval=0 ctx=[0x8000000000000000,0xffffffffffffffff,0x0,0x0,0x8000000000000000]
; run: ctx=[0x80000000,0xffffffff]+zeros:24 => retval=0 ctx=[0x80000000,0xffffffff,0x0,0x80000000,0x80000000]
; run: ctx=[0x7fffffff,0x1f]+zeros:24 => retval=0 ctx=[0x7fffffff,0x1f,0xffff,0x7fffffff,0x7fffffff]
; run: ctx=[0x123456789abcdef,0x20]+zeros:24 => retval=0 ctx=[0x123456789abcdef,0x20,0xcdef,0x89abcdef,0x123456789abcdef]
; run: ctx=[0x123456789abcdef,0x3f]+zeros:24 => retval=0 ctx=[0x123456789abcdef,0x3f,0xcdef,0x89abcdef,0x123456789abcdef]
; run: ctx=[0xfedcba9876543210,0x40]+zeros:24 => retval=0 ctx=[0xfedcba9876543210,0x40,0x3210,0x76543210,0xfedcba9876543210]
; run: ctx=[0xffffffff80000000,0x100000001]+zeros:24 => retval=0 ctx=[0xffffffff80000000,0x100000001,0x0,0x80000000,0xffffffff80000000]
; run: ctx=[0x7fffffffffffffff,0x8000000080000000]+zeros:24 => retval=0 ctx=[0x7fffffffffffffff,0x8000000080000000,0xffff,0xffffffff,0x7fffffffffffffff]
.section syscall
main:
    r6 = r1
    r7 = *(u64 *)(r6 + 0x0)
    r8 = *(u64 *)(r6 + 0x8)
    r3 = r7
    r3 = le16 r3
    *(u64 *)(r6 + 0x10) = r3
    r3 = r7
    r3 = le32 r3
    *(u64 *)(r6 + 0x18) = r3
    r3 = r7
    r3 = le64 r3
    *(u64 *)(r6 + 0x20) = r3
    r0 = 0x0
    exit
