; Only programs that send may change the packet.
; reject: cannot write into packet
.section lwt_in
main:
    r0 = 0
    r2 = *(u32 *)(r1 + 76)
    r3 = *(u32 *)(r1 + 80)
    r4 = r2
    r4 += 4
    if r4 > r3 goto out
    *(u8 *)(r2 + 1) = 0xee ; error
out:
    exit
