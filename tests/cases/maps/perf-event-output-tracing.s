; A program without a packet has none to add to its record.
; accept
; run: ctx=[0,0] => retval=4294967294
; run: ctx=[0x100000000,0] => retval=4294967274
; run: ctx=[0xffffffff,0] => retval=4294967294
; run: ctx=[4,0] => retval=4294967289
.map events type=perf_event_array key=4 value=4 max_entries=4
.section raw_tracepoint
main:
    r3 = *(u64 *)(r1 + 0)
    r2 = map[events] ll
    r4 = r10
    r4 += -8
    r5 = 0
    call bpf_perf_event_output
    exit
