; As moved-back-from-behind-the-end.s. Linux 6.18 goes on taking the address for one behind the end (adjust_ptr_min_max_vals
; keeps the range when a known number is added): the second branch becomes a jump, which is wrong for a short packet.
; targets: kernel
; accept
; run: data=zeros:14+45000014+zeros:16 => retval=3
; run: data=zeros:64 => retval=1
.section tc
main:
    r2 = *(u32 *)(r1 + 76)
    r3 = *(u32 *)(r1 + 80)
    r2 += 64
    if r2 > r3 goto short
    r0 = 1
    exit
short:
    r2 -= 64
    if r2 > r3 goto behind
    r0 = 2
    exit
behind:
    r0 = 3
    exit
