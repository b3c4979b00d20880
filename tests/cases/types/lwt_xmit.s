; A tunnel's program sees the packet from its network header on; what stood before comes back as zeros.
; accept
; run: data=000102030405060708090a0b0800+45000102030405060708090a0b0c0d0e0f101112 => retval=33620037 data=000000000000000000000000000045ee0102030405060708090a0b0c0d0e0f101112
; run: data=000102030405060708090a0b0842+45 ctx=zeros:8+[9]+zeros:176 => retval=1 ctx=[0x0,0x9,0x0,0x0,0x0,0x1,0x0,0x0,0x0,0x0,0x0,0x0,0x0,0x0,0x0,0x0,0x0,0x0,0x0,0x0,0x1]+zeros:24 data=000000000000000000000000000045
; run: data=000102030405060708090a0b0800+45 => fault
.section lwt_xmit
main:
    r0 = 1
    r2 = *(u32 *)(r1 + 76)
    r3 = *(u32 *)(r1 + 80)
    r4 = r2
    r4 += 4
    if r4 > r3 goto out
    r0 = *(u32 *)(r2 + 0)
    *(u8 *)(r2 + 1) = 0xee
    *(u32 *)(r1 + 32) = r0
out:
    exit
