; What is written to a slice of a packet is in the packet.
; accept
; run: data=zeros:12+88b5+0102030405060708090a0b0c0d0e0f10111213141516171819 => retval=0 data=00000000000000000000000088b50102443322110708090a0b0c0d0e0f10111213141516171819
.section tc
main:
    r2 = 0
    r3 = r10
    r3 += -16
    call bpf_dynptr_from_skb
    r1 = r10
    r1 += -16
    r2 = 16
    r3 = r10
    r3 += -24
    r4 = 4
    *(u64 *)(r10 - 24) = 0
    call bpf_dynptr_slice_rdwr
    if r0 == 0 goto none
    *(u32 *)(r0 + 0) = 0x11223344
    r0 = *(u64 *)(r10 - 24)
    exit
none:
    r0 = 99
    exit
