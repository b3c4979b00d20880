; Bytes copied between a packet and memory, both ways, and within the packet; and a part of it filled.
; accept
; run: data=0102030405060708090a0b0c88b5+1112131415161718+191a1b1c1d1e1f20 => retval=4294967289 data=05060708090a0b0c88b5111288b5111213141516050607081b1cabababab
; run: data=zeros:12+88b5 => retval=4177983744
; map memory: 00000000=[0x706050403000000,0x11b5880c0b0a0908,0x18171615141312,0x707000000000000]
.map memory type=array key=4 value=32 max_entries=1
.section tc
main:
    r2 = 0
    r3 = r10
    r3 += -16
    call bpf_dynptr_from_skb
    r1 = map[memory][0]+0 ll
    r2 = 32
    r3 = 0
    r4 = r10
    r4 += -32
    call bpf_dynptr_from_mem
    r1 = r10
    r1 += -32
    r2 = 3
    r3 = r10
    r3 += -16
    r4 = 2
    r5 = 20
    call bpf_dynptr_copy
    w6 = w0
    r1 = r10
    r1 += -16
    r2 = 0
    r3 = r10
    r3 += -16
    r4 = 4
    r5 = 12
    call bpf_dynptr_copy
    w0 = w0
    r6 <<= 8
    r6 ^= r0
    r1 = r10
    r1 += -16
    r2 = 20
    r3 = r10
    r3 += -32
    r4 = 5
    r5 = 4
    call bpf_dynptr_copy
    w0 = w0
    r6 <<= 8
    r6 ^= r0
    r1 = r10
    r1 += -16
    r2 = 26
    r3 = 4
    r4 = 0x1ab
    call bpf_dynptr_memset
    w0 = w0
    r6 <<= 8
    r6 ^= r0
    r1 = r10
    r1 += -32
    r2 = 30
    r3 = 2
    r4 = 7
    call bpf_dynptr_memset
    w0 = w0
    r6 ^= r0
    r1 = r10
    r1 += -32
    r2 = 30
    r3 = 3
    r4 = 7
    call bpf_dynptr_memset
    w0 = w0
    r6 ^= r0
    r0 = r6
    exit
