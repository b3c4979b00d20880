; The comparison shows 14 bytes, not 15.
; reject: invalid access to packet, off=14 size=1
.section action
main:
    r0 = 0
    r2 = *(u32 *)(r1 + 76)
    r3 = *(u32 *)(r1 + 80)
    r4 = r2
    r4 += 14
    if r4 > r3 goto out
    r0 = *(u8 *)(r2 + 14) ; error
out:
    exit
