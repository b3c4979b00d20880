; The program's own memory is not the user's: bpf_probe_read_user, its string sibling and bpf_copy_from_user fault and
; zero the buffer.
; accept
; run: ctx=[0x1122334455667788]+zeros:56 => retval=0 ctx=[0x1122334455667788,0xfffffffffffffff2,0xffffffff00000000,0xfffffffffffffff2,0xffffffff00000000,0x0,0xfffffffffffffff2]+zeros:8
.section syscall
main:
    r6 = r1
    *(u64 *)(r10 - 8) = -1
    r1 = r10
    r1 += -8
    r2 = 4
    r3 = r6
    call bpf_probe_read_user
    *(u64 *)(r6 + 8) = r0
    r1 = *(u64 *)(r10 - 8)
    *(u64 *)(r6 + 16) = r1
    *(u64 *)(r10 - 8) = -1
    r1 = r10
    r1 += -8
    r2 = 4
    r3 = r6
    call bpf_probe_read_user_str
    *(u64 *)(r6 + 24) = r0
    r1 = *(u64 *)(r10 - 8)
    *(u64 *)(r6 + 32) = r1
    r1 = r10
    r1 += -8
    r2 = 0
    r3 = 0
    call bpf_probe_read_user_str
    *(u64 *)(r6 + 40) = r0
    *(u64 *)(r10 - 8) = -1
    r1 = r10
    r1 += -8
    r2 = 8
    r3 = r6
    call bpf_copy_from_user
    *(u64 *)(r6 + 48) = r0
    r1 = *(u64 *)(r10 - 8)
    *(u64 *)(r6 + 56) = r1
    r0 = 0
    exit
