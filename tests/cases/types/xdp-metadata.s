; Metadata before the packet: four bytes are made room for and written; they come back before the packet.
; accept
; run: data=000102030405060708090a0b0842450f1011 => retval=2 data=44332211000102030405060708090a0b0842450f1011
; run: data=0a0b0c0d+000102030405060708090a0b0842450f1011 ctx=[0x1600000004,0,0] => retval=2 ctx=[0x1a00000008]+zeros:16 data=443322110a0b0c0d000102030405060708090a0b0842450f1011
.section xdp
main:
    r6 = r1
    r2 = -4
    call bpf_xdp_adjust_meta
    if r0 != 0 goto out
    r2 = *(u32 *)(r6 + 8)
    r3 = *(u32 *)(r6 + 0)
    r4 = r2
    r4 += 4
    r0 = 1
    if r4 > r3 goto out
    r0 = *(u32 *)(r2 + 0)
    *(u32 *)(r2 + 0) = 0x11223344
    r0 = 2
out:
    exit
