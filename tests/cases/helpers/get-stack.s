; bpf_get_stack: sizes and flags that it refuses, and whole addresses otherwise; what it refuses is zeroed.
; accept
; run: ctx=[12,0] => retval=4294967274
; run: ctx=[8,0] => retval=8
; run: ctx=[0,0] => retval=1000
; run: ctx=[8,0x1000] => retval=4294967274
; run: ctx=[8,0xff] => retval=4294967282
; run: ctx=[8,0x800] => retval=4294967274
.section raw_tracepoint
main:
    r6 = r1
    *(u64 *)(r10 - 8) = -1
    *(u64 *)(r10 - 16) = -1
    r2 = r10
    r2 += -16
    r3 = *(u64 *)(r6 + 0)
    if r3 > 16 goto bad
    r4 = *(u64 *)(r6 + 8)
    r1 = r6
    call bpf_get_stack
    if r0 s> 0 goto out
    r1 = *(u64 *)(r10 - 16)
    if r1 == 0 goto out
    r0 += 1000
out:
    exit
bad:
    r0 = 77
    exit
