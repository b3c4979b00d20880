; The same is nobody's secret to the privileged.
; accept
.section socket
main:
    r0 = 0
    if r10 > 0x1000 goto out
    r0 = 1
out:
    exit
