; The first 40 bytes stand in one piece, the others in a page that only helpers reach.
; accept
; run: data=000102030405060708090a0b0842+zeros:50+[0x1122334455667788] ctx=[0x2800000000,0,0] => retval=2656324 data=000102030405060708090a0b084200000000000000000000000000000000000000000000ffffffffffffffff000000000000000000000000000000000000000088776655
.section xdp.frags
main:
    r6 = r1
    r2 = 36
    r3 = r10
    r3 += -8
    *(u64 *)(r10 - 8) = -1
    r4 = 8
    call bpf_xdp_store_bytes
    r1 = r6
    r2 = 64
    r3 = r10
    r3 += -8
    r4 = 8
    call bpf_xdp_load_bytes
    r1 = r6
    r2 = -4
    call bpf_xdp_adjust_tail
    r1 = r6
    call bpf_xdp_get_buff_len
    r1 = *(u64 *)(r10 - 8)
    r1 &= 0xff
    r1 <<= 8
    r0 += r1
    r2 = *(u32 *)(r6 + 0)
    r3 = *(u32 *)(r6 + 4)
    r3 -= r2
    r3 <<= 16
    r0 += r3
    exit
