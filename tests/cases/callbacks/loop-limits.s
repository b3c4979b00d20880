; At most 1 << 23 iterations, flags must be 0. In place, all 64 bits of the number count.
; accept
; run: ctx=[0x800001,0] => retval=4294967289 ctx=[0x800001,0xfffffff9]
; run: ctx=[0x800000,0] => retval=1 ctx=[0x800000,0x1]
; run: ctx=[0x100000001,0] => retval=4294967289 ctx=[0x100000001,0xfffffff9]
; run: ctx=[0xffffffffffffffff,0] => retval=4294967289 ctx=[0xffffffffffffffff,0xfffffff9]
.section syscall
main:
    r6 = r1
    r1 = *(u64 *)(r6 + 0)
    r2 = subprog[stop]
    r3 = 0
    r4 = 0
    call bpf_loop
    *(u64 *)(r6 + 8) = r0
    exit
stop:
    r0 = 1
    exit
