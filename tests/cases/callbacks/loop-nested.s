; A callback loops itself, and calls a function; registers of each frame survive.
; accept
; run: ctx=[3,4,0] => retval=80 ctx=[0x3,0x4,0x33]
; run: ctx=[0,4,0] => retval=77
; run: ctx=[4,0,0] => retval=81 ctx=[0x4,0x0,0x6]
; run: ctx=[50,40,0] => retval=127 ctx=[0x32,0x28,0x13d49]
.section syscall
main:
    r6 = r1
    r7 = 77
    r1 = *(u64 *)(r6 + 8)
    *(u64 *)(r10 - 8) = r1
    *(u64 *)(r10 - 16) = 0
    r1 = *(u64 *)(r6 + 0)
    r2 = subprog[outer]
    r3 = r10
    r3 += -16
    r4 = 0
    call bpf_loop
    r1 = *(u64 *)(r10 - 16)
    *(u64 *)(r6 + 16) = r1
    r0 += r7
    exit
outer:
    r6 = r2
    r7 = r1
    r1 = *(u64 *)(r6 + 8)
    r2 = subprog[inner]
    r3 = r6
    r4 = 0
    call bpf_loop
    r7 += r0
    r1 = *(u64 *)(r6 + 0)
    r1 += r7
    *(u64 *)(r6 + 0) = r1
    r0 = 0
    exit
inner:
    r6 = r2
    call twice
    r1 = *(u64 *)(r6 + 0)
    r1 += r0
    *(u64 *)(r6 + 0) = r1
    r0 = 0
    exit
twice:
    r0 = r1
    r0 += r1
    exit
