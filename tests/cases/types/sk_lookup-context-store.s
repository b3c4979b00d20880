; The context of a lookup is read-only.
; reject: invalid bpf_context access off=60 size=4
.section sk_lookup
main:
    r0 = 0
    *(u32 *)(r1 + 60) = r0 ; error
    exit
