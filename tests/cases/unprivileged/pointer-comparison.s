; A pointer compared with a constant leaks where memory lies.
; unprivileged
; targets: interpreter kernel
; reject: R10 pointer comparison prohibited
.section socket
main:
    r0 = 0
    if r10 > 0x1000 goto out ; error
    r0 = 1
out:
    exit
