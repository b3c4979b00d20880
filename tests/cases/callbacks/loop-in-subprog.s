; A function that loops, called from two places and from a callback.
; accept
; run: ctx=[3,0] => retval=3 ctx=[0x3,0x19]
; run: ctx=[10,0] => retval=3 ctx=[0xa,0x4a]
.section syscall
main:
    r6 = r1
    r1 = *(u64 *)(r6 + 0)
    call sum
    r7 = r0
    r1 = 5
    call sum
    r7 += r0
    *(u64 *)(r10 - 8) = r7
    r1 = 3
    r2 = subprog[again]
    r3 = r10
    r3 += -8
    r4 = 0
    call bpf_loop
    r1 = *(u64 *)(r10 - 8)
    *(u64 *)(r6 + 8) = r1
    exit
again:
    r6 = r2
    call sum
    r1 = *(u64 *)(r6 + 0)
    r1 += r0
    *(u64 *)(r6 + 0) = r1
    r0 = 0
    exit
sum:
    *(u64 *)(r10 - 8) = 0
    r2 = subprog[add]
    r3 = r10
    r3 += -8
    r4 = 0
    call bpf_loop
    r0 = *(u64 *)(r10 - 8)
    exit
add:
    r3 = *(u64 *)(r2 + 0)
    r3 += r1
    r3 += 1
    *(u64 *)(r2 + 0) = r3
    r0 = 0
    exit
