; A socket filter has no packet pointers, but reads through a dynptr, which is only read.
; accept
; run: data=zeros:12+88b5+0102030405060708090a0b0c0d0e0f10111213141516171819 => retval=201984007
.section socket
main:
    r6 = r1
    r2 = 0
    r3 = r10
    r3 += -16
    call bpf_dynptr_from_skb
    r1 = r10
    r1 += -16
    call bpf_dynptr_is_rdonly
    r7 = r0
    r7 &= 1
    r1 = r10
    r1 += -16
    r2 = 2
    r3 = 0
    r4 = 4
    call bpf_dynptr_slice
    if r0 == 0 goto none
    r0 = *(u32 *)(r0 + 0)
    r0 <<= 1
    r0 |= r7
    exit
none:
    r0 = 99
    exit
