; lddw_map_value_idx off 0: Loads an address inside the first value of a map by index.
; accept
; run: ctx=[0x0,0xffffffffffffffff]+zeros:48 => retval=0 ctx=[0x0,0xffffffffffffffff,0x0,0x1]+zeros:32
; run: ctx=[0x7,0xfffffffffffffff8,0xe0000]+zeros:40 => retval=0 ctx=[0x7,0xfffffffffffffff8,0xe0000,0xff]+zeros:32
; run: ctx=[0x20,0xffffffffffffffdf,0x400000]+zeros:40 => retval=0 ctx=[0x20,0xffffffffffffffdf,0x400000,0xf8]+zeros:32
; run: ctx=[0x40,0xffffffffffffffbf,0x800000]+zeros:40 => retval=0 ctx=[0x40,0xffffffffffffffbf,0x800000,0xdf]+zeros:32
; run: ctx=[0x80,0xffffffffffffff7f,0x1000000]+zeros:40 => retval=0 ctx=[0x80,0xffffffffffffff7f,0x1000000,0xbf]+zeros:32
; run: ctx=[0x8000,0xffffffffffff7fff,0x100000000]+zeros:40 => retval=0 ctx=[0x8000,0xffffffffffff7fff,0x100000000,0x7f]+zeros:32
; run: ctx=[0x80000000,0xffffffff7fffffff,0x1000000000000]+zeros:40 => retval=0 ctx=[0x80000000,0xffffffff7fffffff,0x1000000000000,0xff]+zeros:32
; run: ctx=[0x123456789abcdef,0xfedcba9876543210,0x8acf13579bde0246]+zeros:40 => retval=0 ctx=[0x123456789abcdef,0xfedcba9876543210,0x8acf13579bde0246,0xff]+zeros:32
; run: ctx=[0x8000000000000000,0x7fffffffffffffff,0x10000]+zeros:40 => retval=0 ctx=[0x8000000000000000,0x7fffffffffffffff,0x10000,0x10]+zeros:32
; run: ctx=[0xffffffffffffffff,0x0,0xffffffffffffffff]+zeros:40 => retval=0 ctx=[0xffffffffffffffff,0x0,0xffffffffffffffff,0xff]+zeros:32
.map words type=array key=4 value=16 max_entries=1 initial=0102030405060708090a0b0c0d0e0f10
.section syscall
main:
    r6 = r1
    r7 = *(u64 *)(r6 + 0x0)
    r8 = *(u64 *)(r6 + 0x8)
    r1 = map[words][0]+0 ll
    w7 = *(u8 *)(r1 + 0x0)
    *(u8 *)(r1 + 0x0) = w8
    *(u64 *)(r6 + 0x18) = r7
    r0 = 0x0
    exit
