; A control group sees the packet from its network header on, and the addresses of its socket.
; accept
; run: data=000102030405060708090a0b0800+450000140000000040110000+0a000001+0a000002 => retval=1 data=00000000000000000000000000004500001400000000401100000a0000010a000002
; run: data=000102030405060708090a0b0800+450000140000000040110000+0a000001+0a000002 ctx=zeros:192 => retval=1 ctx=[0x0,0x2,0x0,0x0,0x0,0x1,0x100000a0100000a,0x200000a,0x0,0x0,0x0,0x0,0x0,0x0,0x0,0x0,0x0,0x0,0x0,0x0,0x14]+zeros:24 data=00000000000000000000000000004500001400000000401100000a0000010a000002
; run: data=000102030405060708090a0b0842+45 ctx=zeros:192 => retval=3 ctx=[0x0,0x0,0x0,0x0,0x0,0x1,0x0,0x0,0x0,0x0,0x0,0x0,0x0,0x0,0x0,0x0,0x0,0x0,0x0,0x0,0x1]+zeros:24 data=000000000000000000000000000045
.section cgroup_skb/egress
main:
    r0 = 3
    r2 = *(u32 *)(r1 + 76)
    r3 = *(u32 *)(r1 + 80)
    r4 = r2
    r4 += 20
    if r4 > r3 goto out
    r4 = *(u32 *)(r2 + 12)
    *(u32 *)(r1 + 48) = r4
    r5 = *(u32 *)(r1 + 96)
    *(u32 *)(r1 + 52) = r5
    r5 = *(u32 *)(r1 + 92)
    *(u32 *)(r1 + 56) = r5
    r5 = *(u32 *)(r1 + 88)
    *(u32 *)(r1 + 8) = r5
    r0 = 1
out:
    exit
