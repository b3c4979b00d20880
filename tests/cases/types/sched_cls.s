; A classifier sees the whole frame, may change it, and keeps marks for those who come after it.
; accept
; run: data=000102030405060708090a0b0800450f10111213141516171819 => fault
; run: data=000102030405060708090a0b0842450f10111213141516171819 ctx=zeros:192 => retval=26 ctx=[0x0,0x842,0x0,0x0,0x0,0x1,0x3020100,0x0,0x0,0x0,0x0,0x0,0x0,0x0,0x0,0x0,0x0,0x0,0x0,0x0,0x1a]+zeros:24 data=ee0102030405060708090a0b0842450f10111213141516171819
; run: data=00010203040506070809 => fault
.section tc
main:
    r0 = -1
    r2 = *(u32 *)(r1 + 76)
    r3 = *(u32 *)(r1 + 80)
    r4 = r2
    r4 += 14
    if r4 > r3 goto out
    r5 = *(u16 *)(r2 + 12)
    r5 = be16 r5
    *(u32 *)(r1 + 8) = r5
    *(u32 *)(r1 + 44) = r5
    r0 = *(u32 *)(r2 + 0)
    *(u8 *)(r2 + 0) = 0xee
    *(u32 *)(r1 + 48) = r0
    r0 = *(u32 *)(r1 + 0)
out:
    exit
