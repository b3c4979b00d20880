; r3 was never written.
; reject: R3 !read_ok
.section socket
main:
    r0 = r3 ; error
    exit
