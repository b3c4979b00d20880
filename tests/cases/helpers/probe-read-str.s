; bpf_probe_read_kernel_str copies up to the NUL and no further, cuts what is too long, and gives the bytes written.
; accept
; run: ctx=6162636400787878+zeros:56 => retval=0 ctx=[0x7878780064636261,0x5,0xffffff0064636261,0x3,0xffffffffff006261,0xfffffffffffffff2,0xffff000000000000]+zeros:8
.section syscall
main:
    r6 = r1
    *(u64 *)(r10 - 8) = -1
    r1 = r10
    r1 += -8
    r2 = 8
    r3 = r6
    call bpf_probe_read_kernel_str
    *(u64 *)(r6 + 8) = r0
    r1 = *(u64 *)(r10 - 8)
    *(u64 *)(r6 + 16) = r1
    *(u64 *)(r10 - 8) = -1
    r1 = r10
    r1 += -8
    r2 = 3
    r3 = r6
    call bpf_probe_read_str
    *(u64 *)(r6 + 24) = r0
    r1 = *(u64 *)(r10 - 8)
    *(u64 *)(r6 + 32) = r1
    *(u64 *)(r10 - 8) = -1
    r1 = r10
    r1 += -8
    r2 = 6
    r3 = 0
    call bpf_probe_read_str
    *(u64 *)(r6 + 40) = r0
    r1 = *(u64 *)(r10 - 8)
    *(u64 *)(r6 + 48) = r1
    r1 = r10
    r1 += -8
    r2 = 0
    r3 = 0
    call bpf_probe_read_kernel_str
    exit
