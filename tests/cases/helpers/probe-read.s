; What bpf_probe_read_kernel and bpf_probe_read give: the first word of the context through each, from an address of
; the program; then the error for NULL, for an address that no machine has, and what is in the buffer after it.
; accept
; run: ctx=[0x1122334455667788]+zeros:56 => retval=4294967262 ctx=[0x1122334455667788,0x0,0x1122334455667788,0xffffffffffffffde,0x1122330000000000,0xfffffffffffffff2,0xffffffffffffffde]+zeros:8
.section syscall
main:
    r6 = r1
    *(u64 *)(r10 - 8) = -1
    r1 = r10
    r1 += -8
    r2 = 8
    r3 = r6
    call bpf_probe_read_kernel
    *(u64 *)(r6 + 8) = r0
    r1 = *(u64 *)(r10 - 8)
    *(u64 *)(r6 + 16) = r1
    r1 = r10
    r1 += -8
    r2 = 5
    r3 = 0
    call bpf_probe_read_kernel
    *(u64 *)(r6 + 24) = r0
    r1 = *(u64 *)(r10 - 8)
    *(u64 *)(r6 + 32) = r1
    r1 = r10
    r1 += -8
    r2 = 8
    r3 = 0
    call bpf_probe_read
    *(u64 *)(r6 + 40) = r0
    r1 = r10
    r1 += -8
    r2 = 8
    r3 = 0x8000000000000000 ll
    call bpf_probe_read
    *(u64 *)(r6 + 48) = r0
    r1 = r10
    r1 += -8
    r2 = 0
    r3 = 0
    call bpf_probe_read_kernel
    exit
