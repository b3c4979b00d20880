; The context's first word goes in, the second is asked for; without a seed chance is the same everywhere.
; accept
; run: ctx=[1,1] => retval=0
; run: ctx=[2,1] => retval=0
; run: ctx=[3,4] => retval=4294967294
; run: ctx=[5,6] => retval=4294967294
; run: ctx=[7,8] => retval=4294967294
; run: ctx=[9,10] => retval=4294967294
; run: ctx=[11,12] => retval=4294967294
; run: ctx=[13,14] => retval=4294967294
; run: ctx=[15,0xffffffffffffffff] => retval=4294967294
.map seen type=bloom_filter key=0 value=8 max_entries=4 flags=BPF_F_ZERO_SEED extra=2
.section raw_tp/sys_enter
main:
    r6 = r1
    r2 = *(u64 *)(r6 + 0)
    *(u64 *)(r10 - 8) = r2
    r1 = map[seen] ll
    r2 = r10
    r2 += -8
    r3 = 0
    call bpf_map_push_elem
    r7 = r0
    r2 = *(u64 *)(r6 + 8)
    *(u64 *)(r10 - 8) = r2
    r1 = map[seen] ll
    r2 = r10
    r2 += -8
    call bpf_map_peek_elem
    r7 <<= 8
    r0 += r7
    exit
