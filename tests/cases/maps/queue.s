; Push with the flags of the context's second word, then peek at the next value.
; accept
; run: ctx=[1,0] => retval=0
; run: ctx=[2,0] => retval=0 ctx=[0x1]+zeros:8
; run: ctx=[3,0] => retval=0 ctx=[0x1]+zeros:8
; run: ctx=[4,0] => retval=4294967289 ctx=[0x1]+zeros:8
; run: ctx=[5,2] => retval=0 ctx=[0x2,0x2]
; run: ctx=[6,1] => retval=4294967274 ctx=[0x2,0x1]
; run: ctx=[6,3] => retval=4294967274 ctx=[0x2,0x3]
; run: ctx=[6,4] => retval=4294967274 ctx=[0x2,0x4]
.map values type=queue key=0 value=8 max_entries=3
; map values: 0200000000000000 0300000000000000 0500000000000000
.section syscall
main:
    r6 = r1
    r1 = *(u64 *)(r6 + 0)
    *(u64 *)(r10 - 8) = r1
    r3 = *(u64 *)(r6 + 8)
    r1 = map[values] ll
    r2 = r10
    r2 += -8
    call bpf_map_push_elem
    r7 = r0
    r1 = map[values] ll
    r2 = r10
    r2 += -16
    call bpf_map_peek_elem
    r1 = *(u64 *)(r10 - 16)
    *(u64 *)(r6 + 0) = r1
    r0 = r7
    exit
