; neg32, neg64: Two's complement negation.
; Operands in the first two words, one result a word behind them.
; accept
; run: ctx=zeros:32 => retval=0
; run: ctx=[0x1,0x1]+zeros:16 => retval=0 ctx=[0x1,0x1,0xffffffff,0xffffffffffffffff]
; run: ctx=[0x1,0xffffffffffffffff]+zeros:16 => retval=0 ctx=[0x1,0xffffffffffffffff,0xffffffff,0xffffffffffffffff]
; run: ctx=[0xffffffffffffffff,0x1]+zeros:16 => retval=0 ctx=[0xffffffffffffffff,0x1,0x1,0x1]
; run: ctx=[0x8000000000000000,0xffffffffffffffff]+zeros:16 => retval=0 ctx=[0x8000000000000000,0xffffffffffffffff,0x0,0x8000000000000000]
; run: ctx=[0x80000000,0xffffffff]+zeros:16 => retval=0 ctx=[0x80000000,0xffffffff,0x80000000,0xffffffff80000000]
; run: ctx=[0x7fffffff,0x1f]+zeros:16 => retval=0 ctx=[0x7fffffff,0x1f,0x80000001,0xffffffff80000001]
; run: ctx=[0x123456789abcdef,0x20]+zeros:16 => retval=0 ctx=[0x123456789abcdef,0x20,0x76543211,0xfedcba9876543211]
; run: ctx=[0x123456789abcdef,0x3f]+zeros:16 => retval=0 ctx=[0x123456789abcdef,0x3f,0x76543211,0xfedcba9876543211]
; run: ctx=[0xfedcba9876543210,0x40]+zeros:16 => retval=0 ctx=[0xfedcba9876543210,0x40,0x89abcdf0,0x123456789abcdf0]
; run: ctx=[0xffffffff80000000,0x100000001]+zeros:16 => retval=0 ctx=[0xffffffff80000000,0x100000001,0x80000000,0x80000000]
; run: ctx=[0x7fffffffffffffff,0x8000000080000000]+zeros:16 => retval=0 ctx=[0x7fffffffffffffff,0x8000000080000000,0x1,0x8000000000000001]
.section syscall
main:
    r6 = r1
    r7 = *(u64 *)(r6 + 0x0)
    r8 = *(u64 *)(r6 + 0x8)
    r3 = r7
    w3 = -w3
    *(u64 *)(r6 + 0x10) = r3
    r3 = r7
    r3 = -r3
    *(u64 *)(r6 + 0x18) = r3
    r0 = 0x0
    exit
