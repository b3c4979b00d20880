; A dynptr to a part of a map's value: the results of making it, of a write, a read, and whether its data is there.
; The context: size, flags, offset, flags of the write, flags of the read.
; accept
; run: ctx=[16,0,0,0,0] => retval=1 ctx=[0x0,0x0,0x1122334455667788,0x0,0x1122334455667788]
; run: ctx=[16,0,8,0,0] => retval=1 ctx=[0x0,0x0,0x1122334455667788,0x0,0x1122334455667788]
; run: ctx=[16,0,9,0,0] => retval=0 ctx=[0x0,0xfffffffffffffff9,0x9,0xfffffffffffffff9,0x4d]
; run: ctx=[16,0,0xffffffff,0,0] => retval=0 ctx=[0x0,0xfffffffffffffff9,0xffffffff,0xfffffffffffffff9,0x4d]
; run: ctx=[16,0,0,1,0] => retval=1 ctx=[0x0,0xffffffffffffffea,0x5,0x0,0x5]
; run: ctx=[16,0,0,0,1] => retval=1 ctx=[0x0,0x0,0x1122334455667788,0xffffffffffffffea,0x4d]
; run: ctx=[16,0,9,1,1] => retval=0 ctx=[0x0,0xfffffffffffffff9,0x9,0xffffffffffffffea,0x4d]
; run: ctx=[16,1,0,0,0] => retval=0 ctx=[0xffffffffffffffea,0xffffffffffffffea,0x0,0xffffffffffffffea,0x4d]
; run: ctx=[0,0,0,0,0] => retval=0 ctx=[0x0,0xfffffffffffffff9,0x0,0xfffffffffffffff9,0x4d]
; run: ctx=[7,0,0,0,0] => retval=0 ctx=[0x0,0xfffffffffffffff9,0x0,0xfffffffffffffff9,0x4d]
.map data type=array key=4 value=64 max_entries=1
; map data: 00000000=[0x0,0x5,0x5]+zeros:40
.section syscall
main:
    r6 = r1
    r1 = map[data][0]+8 ll
    r2 = *(u64 *)(r6 + 0)
    if r2 > 56 goto out
    r3 = *(u64 *)(r6 + 8)
    r4 = r10
    r4 += -16
    call bpf_dynptr_from_mem
    r1 = *(u64 *)(r6 + 8)
    *(u64 *)(r6 + 0) = r0
    r1 = 0x1122334455667788 ll
    *(u64 *)(r10 - 24) = r1
    r1 = r10
    r1 += -16
    r2 = *(u64 *)(r6 + 16)
    r3 = r10
    r3 += -24
    r4 = 8
    r5 = *(u64 *)(r6 + 24)
    call bpf_dynptr_write
    *(u64 *)(r6 + 8) = r0
    *(u64 *)(r10 - 32) = 77
    r1 = r10
    r1 += -32
    r2 = 8
    r3 = r10
    r3 += -16
    r4 = *(u64 *)(r6 + 16)
    r5 = *(u64 *)(r6 + 32)
    call bpf_dynptr_read
    *(u64 *)(r6 + 24) = r0
    r1 = *(u64 *)(r10 - 32)
    *(u64 *)(r6 + 32) = r1
    r1 = r10
    r1 += -16
    r2 = *(u64 *)(r6 + 16)
    r3 = 8
    call bpf_dynptr_data
    if r0 == 0 goto none
    r1 = *(u64 *)(r0 + 0)
    *(u64 *)(r6 + 16) = r1
    *(u64 *)(r0 + 0) = 5
    r0 = 1
    exit
none:
    r0 = 0
    exit
out:
    r0 = 9
    exit
