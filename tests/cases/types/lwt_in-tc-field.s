; tc_classid belongs to traffic control.
; reject: invalid bpf_context access off=72 size=4
.section lwt_in
main:
    r0 = *(u32 *)(r1 + 72) ; error
    exit
