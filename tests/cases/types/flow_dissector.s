; A flow dissector reads the packet and fills in the keys, which are the data that comes back.
; accept
; run: data=000102030405060708090a0b0800+450000140000000040110000+0a000001+0a000002 => retval=0 data=[0x8000022000e,0x81100,0x200000a0100000a]+zeros:32
; run: data=000102030405060708090a0b0800+450000140000000040110000+0a000001+0a000002 ctx=zeros:48+0700000000000000 => retval=0 data=[0x8000022000e,0x81100,0x200000a0100000a,0x0,0x0,0x0,0x7]
; run: data=000102030405060708090a0b86dd => retval=2 data=[0xe000e,0xdd860000]+zeros:40
.section flow_dissector
main:
    r0 = 2
    r6 = *(u64 *)(r1 + 144)
    r2 = *(u32 *)(r1 + 76)
    r3 = *(u32 *)(r1 + 80)
    r4 = r2
    r4 += 34
    if r4 > r3 goto out
    r5 = *(u8 *)(r2 + 23)
    *(u8 *)(r6 + 9) = r5
    r5 = *(u64 *)(r2 + 26)
    *(u64 *)(r6 + 16) = r5
    *(u16 *)(r6 + 4) = 0x800
    r5 = *(u16 *)(r6 + 0)
    r5 += 20
    *(u16 *)(r6 + 2) = r5
    r0 = 0
out:
    exit
