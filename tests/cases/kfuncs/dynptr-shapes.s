; A dynptr to a packet: narrowed, copied, and what is known of it. The packet says by how much.
; accept
; run: data=00000000+ffffffff+zeros:4+zeros:4+zeros:20 => retval=4294958628
; run: data=00000000+10000000+zeros:4+zeros:4+zeros:20 => retval=16
; run: data=05000000+20000000+zeros:4+zeros:4+zeros:20 => retval=27
; run: data=24000000+24000000+zeros:4+zeros:4+zeros:20 => retval=0
; run: data=24000000+25000000+zeros:4+zeros:4+zeros:20 => retval=4294958628
; run: data=06000000+05000000+zeros:4+zeros:4+zeros:20 => retval=4294961700
; map results: 00000000=[0x0,0x0,0xffffffea,0x24]+zeros:16
.map results type=array key=4 value=48 max_entries=1
.section tc
main:
    r8 = map[results][0]+0 ll
    r2 = 0
    r3 = r10
    r3 += -16
    call bpf_dynptr_from_skb
    w0 = w0
    *(u64 *)(r8 + 0) = r0
    r1 = r10
    r1 += -40
    r2 = 8
    r3 = r10
    r3 += -16
    r4 = 0
    r5 = 0
    *(u64 *)(r10 - 40) = 0
    call bpf_dynptr_read
    *(u64 *)(r8 + 8) = r0
    r1 = r10
    r1 += -16
    r2 = *(u32 *)(r10 - 40)
    r3 = *(u32 *)(r10 - 36)
    call bpf_dynptr_adjust
    w0 = w0
    *(u64 *)(r8 + 16) = r0
    r1 = r10
    r1 += -16
    r2 = r10
    r2 += -32
    call bpf_dynptr_clone
    w6 = w0
    r6 <<= 32
    r1 = r10
    r1 += -32
    call bpf_dynptr_size
    w0 = w0
    r6 |= r0
    *(u64 *)(r8 + 24) = r6
    r1 = r10
    r1 += -32
    call bpf_dynptr_is_null
    r0 &= 255
    *(u64 *)(r8 + 32) = r0
    r1 = r10
    r1 += -32
    call bpf_dynptr_is_rdonly
    r0 &= 255
    *(u64 *)(r8 + 40) = r0
    r0 = *(u64 *)(r8 + 16)
    r0 <<= 8
    r1 = *(u64 *)(r8 + 24)
    r0 ^= r1
    exit
