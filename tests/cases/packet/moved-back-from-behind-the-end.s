; An address behind the packet's end lies before it once it has moved back far enough.
; targets: interpreter
; accept
; run: data=zeros:14+45000014+zeros:16 => retval=2
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
