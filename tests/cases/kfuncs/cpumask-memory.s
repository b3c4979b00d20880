; Sets of CPUs in the program's own memory, and filled from it: too little is refused.
; accept
; run: ctx=zeros:8 => retval=4076863745
.section syscall
main:
    r8 = 0
    *(u64 *)(r10 - 8) = 0
    *(u64 *)(r10 - 16) = 0
    *(u64 *)(r10 - 24) = 0
    *(u64 *)(r10 - 32) = 1
    r1 = r10
    r1 += -32
    call bpf_cpumask_first
    r8 = r0
    call bpf_cpumask_create
    if r0 == 0 goto none
    r6 = r0
    r1 = r6
    r2 = r10
    r2 += -32
    r3 = 4
    call bpf_cpumask_populate
    w0 = w0
    r8 <<= 8
    r8 ^= r0
    r1 = r6
    r2 = r10
    r2 += -32
    r3 = 32
    call bpf_cpumask_populate
    w0 = w0
    r8 <<= 8
    r8 ^= r0
    r1 = r6
    call bpf_cpumask_weight
    w0 = w0
    r8 <<= 8
    r8 ^= r0
    r1 = r6
    r2 = r10
    r2 += -32
    call bpf_cpumask_equal
    r0 &= 1
    r8 <<= 8
    r8 ^= r0
    r1 = r6
    call bpf_cpumask_release
none:
    r0 = r8
    exit
