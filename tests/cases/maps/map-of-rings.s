; Records of ring buffers in a map of maps: reserved in both before either is given out, one by a copy.
; slot rings 00000000: one
; slot rings 01000000: two
; accept
; run: ctx=[1] => retval=0
; run: ctx=[2] => retval=0
; map one: 0100000000000000 0200000000000000
; map two: 05000000000000000100000000000000 0600000000000000 05000000000000000200000000000000 0600000000000000
.map one type=ringbuf max_entries=4096
.map two type=ringbuf max_entries=8192
.map rings type=array_of_maps key=4 value=4 max_entries=2 inner=one
.section syscall
main:
    r9 = *(u64 *)(r1 + 0)
    *(u32 *)(r10 - 4) = 0
    r1 = map[rings] ll
    r2 = r10
    r2 += -4
    call bpf_map_lookup_elem
    if r0 == 0 goto out
    r1 = r0
    r2 = 8
    r3 = 0
    call bpf_ringbuf_reserve
    if r0 == 0 goto out
    r6 = r0
    *(u64 *)(r6 + 0) = r9
    *(u32 *)(r10 - 4) = 1
    r1 = map[rings] ll
    r2 = r10
    r2 += -4
    call bpf_map_lookup_elem
    if r0 == 0 goto drop
    r7 = r0
    r1 = r0
    r2 = 16
    r3 = 0
    call bpf_ringbuf_reserve
    if r0 == 0 goto drop
    r8 = r0
    *(u64 *)(r8 + 0) = 5
    *(u64 *)(r8 + 8) = r9
    r1 = r6
    r2 = 0
    call bpf_ringbuf_submit
    r1 = r8
    r2 = 0
    call bpf_ringbuf_submit
    *(u64 *)(r10 - 16) = 6
    r1 = r7
    r2 = r10
    r2 += -16
    r3 = 8
    r4 = 0
    call bpf_ringbuf_output
    exit
drop:
    r1 = r6
    r2 = 0
    call bpf_ringbuf_discard
out:
    r0 = 9
    exit
