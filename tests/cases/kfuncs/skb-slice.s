; Bytes of a packet, by a dynptr: in place, without the buffer; NULL behind the end.
; accept
; run: data=zeros:12+88b5+0102030405060708090a0b0c0d0e0f10111213141516171819 => retval=235736075
; run: data=zeros:12+88b5+0102030405060708090a0b0c0d => retval=99
; run: data=zeros:12+88b5+0102030405060708090a0b0c0d0e => retval=235736075
.section tc
main:
    r2 = 0
    r3 = r10
    r3 += -16
    call bpf_dynptr_from_skb
    r1 = r10
    r1 += -16
    r2 = 20
    r3 = r10
    r3 += -24
    r4 = 8
    *(u64 *)(r10 - 24) = 0
    call bpf_dynptr_slice
    if r0 == 0 goto none
    r0 = *(u32 *)(r0 + 4)
    r1 = *(u64 *)(r10 - 24)
    r0 += r1
    exit
none:
    r0 = 99
    exit
