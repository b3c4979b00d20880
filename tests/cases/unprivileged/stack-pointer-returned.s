; The address of the stack is not to be returned.
; unprivileged
; reject: R0 leaks addr as return value
.section socket
main:
    r0 = r10
    exit ; error
