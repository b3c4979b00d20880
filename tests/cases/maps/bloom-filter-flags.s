; Push takes no flags.
; accept
; run: ctx=[0] => retval=0
; run: ctx=[1] => retval=4294967274
; run: ctx=[2] => retval=4294967274
; run: ctx=[4] => retval=4294967274
.map seen type=bloom_filter key=0 value=8 max_entries=4
.section raw_tp/sys_enter
main:
    *(u64 *)(r10 - 8) = 5
    r3 = *(u64 *)(r1 + 0)
    r1 = map[seen] ll
    r2 = r10
    r2 += -8
    call bpf_map_push_elem
    exit
