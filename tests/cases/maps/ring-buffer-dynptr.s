; Records as dynptrs: of a size that is only known then, written and submitted or discarded. The context: the size, the
; flags of the reservation, whether it is discarded, the offset of what is written.
; accept
; run: ctx=[8,0,0,0] => retval=0 ctx=[0x0,0x0,0x0,0x1]
; run: ctx=[12,0,0,4] => retval=0 ctx=[0x0,0x0,0x0,0x1]
; run: ctx=[12,0,0,5] => retval=0 ctx=[0x0,0xfffffffffffffff9,0x0,0x1]
; run: ctx=[16,0,1,0] => retval=0 ctx=[0x0,0x0,0x1,0x1]
; run: ctx=[0,0,0,0] => retval=0 ctx=[0x0,0xfffffffffffffff9]+zeros:16
; run: ctx=[8,1,0,0] => retval=0 ctx=[0xffffffffffffffea,0xffffffffffffffea]+zeros:16
; run: ctx=[5000,0,0,0] => retval=0 ctx=[0xffffffffffffffea,0xffffffffffffffea]+zeros:16
; run: ctx=[0x1000000,0,0,0] => retval=0 ctx=[0xfffffffffffffff9,0xffffffffffffffea]+zeros:16
; run: ctx=[0x100000008,0,0,0] => retval=0 ctx=[0x0,0x0,0x0,0x1]
.map events type=ringbuf max_entries=4096
; map events: 0700000044332211 070000008877665544332211 070000000000000000000000  0700000044332211
.section syscall
main:
    r6 = r1
    r1 = map[events] ll
    r2 = *(u64 *)(r6 + 0)
    r3 = *(u64 *)(r6 + 8)
    r4 = r10
    r4 += -16
    call bpf_ringbuf_reserve_dynptr
    *(u64 *)(r6 + 0) = r0
    r1 = 0x1122334455667788 ll
    *(u64 *)(r10 - 24) = r1
    r1 = r10
    r1 += -16
    r2 = *(u64 *)(r6 + 24)
    r3 = r10
    r3 += -24
    r4 = 8
    r5 = 0
    call bpf_dynptr_write
    *(u64 *)(r6 + 8) = r0
    r1 = r10
    r1 += -16
    r2 = 0
    r3 = 4
    call bpf_dynptr_data
    if r0 == 0 goto empty
    *(u32 *)(r0 + 0) = 7
    r0 = 1
empty:
    *(u64 *)(r6 + 24) = r0
    r7 = *(u64 *)(r6 + 16)
    r1 = r10
    r1 += -16
    r2 = 0
    if r7 != 0 goto discard
    call bpf_ringbuf_submit_dynptr
    r0 = 0
    exit
discard:
    call bpf_ringbuf_discard_dynptr
    r0 = 0
    exit
