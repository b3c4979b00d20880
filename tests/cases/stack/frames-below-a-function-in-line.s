; A small function that calls another: where it stands in its caller, the other's frame must not lie over its own. The other
; reads what it has not written, so its frame is zeroed.
; accept
; run: data=zeros:14 => retval=7
.section socket
main:
    r1 = 0
    call middle
    exit
middle:
    *(u64 *)(r10 - 8) = 7
    r1 = r10
    r1 += -8
    call inner
    r0 = *(u64 *)(r10 - 8)
    exit
inner:
    r0 = *(u64 *)(r10 - 8)
    exit
