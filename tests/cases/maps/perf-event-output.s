; What bpf_perf_event_output says where nobody reads: unknown flags, more of the packet than there is, a slot outside,
; an empty one. The flags stand in the packet.
; accept
; run: data=zeros:14+00000000ffffffff+zeros:10 => retval=4294967274
; run: data=zeros:14+ffffffff00000000+zeros:10 => retval=4294967294
; run: data=zeros:14+0000000012000000+zeros:10 => retval=4294967294
; run: data=zeros:14+0000000013000000+zeros:10 => retval=4294967282
; run: data=zeros:14+0400000000000000+zeros:10 => retval=4294967289
; run: data=zeros:14+0300000000000000+zeros:10 => retval=4294967294
; run: data=zeros:14+0000000000001000+zeros:10 => retval=4294967274
.map events type=perf_event_array key=4 value=4 max_entries=4
.section socket
main:
    r6 = r1
    r2 = 0
    r3 = r10
    r3 += -8
    r4 = 8
    call bpf_skb_load_bytes
    r3 = *(u64 *)(r10 - 8)
    r1 = r6
    r2 = map[events] ll
    r4 = r10
    r4 += -8
    r5 = 8
    call bpf_perf_event_output
    exit
