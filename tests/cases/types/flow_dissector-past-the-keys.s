; The keys have 56 bytes.
; reject: invalid access to flow keys off=52 size=8
.section flow_dissector
main:
    r6 = *(u64 *)(r1 + 144)
    r0 = 0
    *(u64 *)(r6 + 52) = r0 ; error
    exit
