; A record reserved and submitted, one discarded, one copied.
; accept
; run: ctx=[0x11] => retval=0
; run: ctx=[0x22] => retval=0
.map events type=ringbuf max_entries=4096
; map events: 1100000000000000 11000000 2200000000000000 22000000
.section syscall
main:
    r6 = *(u64 *)(r1 + 0)
    r1 = map[events] ll
    r2 = 8
    r3 = 0
    call bpf_ringbuf_reserve
    if r0 == 0 goto out
    *(u64 *)(r0 + 0) = r6
    r1 = r0
    r2 = 0
    call bpf_ringbuf_submit
    r1 = map[events] ll
    r2 = 16
    r3 = 0
    call bpf_ringbuf_reserve
    if r0 == 0 goto out
    r1 = r0
    r2 = 0
    call bpf_ringbuf_discard
    *(u64 *)(r10 - 8) = r6
    r1 = map[events] ll
    r2 = r10
    r2 += -8
    r3 = 4
    r4 = 0
    call bpf_ringbuf_output
out:
    r0 = 0
    exit
