; Packets are redirected by maps of interfaces and CPUs only.
; reject: cannot pass map_type 2 into func bpf_redirect_map#51
.map out type=array key=4 value=4 max_entries=4
.section xdp
main:
    r1 = map[out] ll
    r2 = 0
    r3 = 0
    call bpf_redirect_map ; error
    exit
