; Sets of CPUs, of which one is there and one is not: each answer is a bit, the first the highest.
; accept
; run: ctx=zeros:8 => retval=294183803
.section syscall
main:
    r8 = 0
    call bpf_cpumask_create
    if r0 == 0 goto none
    r6 = r0
    call bpf_cpumask_create
    if r0 == 0 goto one
    r7 = r0
    ; An empty set.
    r1 = r6
    call bpf_cpumask_empty
    r0 &= 1
    r8 <<= 1
    r8 |= r0
    r1 = r6
    call bpf_cpumask_full
    r0 &= 1
    r8 <<= 1
    r8 |= r0
    r1 = r6
    call bpf_cpumask_first_zero
    r0 &= 1
    r8 <<= 1
    r8 |= r0
    ; With the first CPU, and one that is not there.
    r1 = 0
    r2 = r6
    call bpf_cpumask_set_cpu
    r1 = 1000000
    r2 = r6
    call bpf_cpumask_set_cpu
    r1 = 1000000
    r2 = r6
    call bpf_cpumask_test_cpu
    r0 &= 1
    r8 <<= 1
    r8 |= r0
    r1 = 0
    r2 = r6
    call bpf_cpumask_test_cpu
    r0 &= 1
    r8 <<= 1
    r8 |= r0
    r1 = r6
    call bpf_cpumask_weight
    r0 &= 1
    r8 <<= 1
    r8 |= r0
    r1 = r6
    call bpf_cpumask_first
    r0 &= 1
    r8 <<= 1
    r8 |= r0
    r1 = r6
    call bpf_cpumask_empty
    r0 &= 1
    r8 <<= 1
    r8 |= r0
    ; Beside an empty one, and an equal one.
    r1 = r6
    r2 = r7
    call bpf_cpumask_equal
    r0 &= 1
    r8 <<= 1
    r8 |= r0
    r1 = r7
    r2 = r6
    call bpf_cpumask_subset
    r0 &= 1
    r8 <<= 1
    r8 |= r0
    r1 = r6
    r2 = r7
    call bpf_cpumask_subset
    r0 &= 1
    r8 <<= 1
    r8 |= r0
    r1 = r6
    r2 = r7
    call bpf_cpumask_intersects
    r0 &= 1
    r8 <<= 1
    r8 |= r0
    r1 = 0
    r2 = r7
    call bpf_cpumask_test_and_set_cpu
    r0 &= 1
    r8 <<= 1
    r8 |= r0
    r1 = 0
    r2 = r7
    call bpf_cpumask_test_and_set_cpu
    r0 &= 1
    r8 <<= 1
    r8 |= r0
    r1 = r6
    r2 = r7
    call bpf_cpumask_equal
    r0 &= 1
    r8 <<= 1
    r8 |= r0
    r1 = r6
    r2 = r7
    call bpf_cpumask_intersects
    r0 &= 1
    r8 <<= 1
    r8 |= r0
    r1 = r6
    r2 = r7
    call bpf_cpumask_first_and
    r0 &= 1
    r8 <<= 1
    r8 |= r0
    r1 = r6
    call bpf_cpumask_any_distribute
    r0 &= 1
    r8 <<= 1
    r8 |= r0
    r1 = r6
    r2 = r7
    call bpf_cpumask_any_and_distribute
    r0 &= 1
    r8 <<= 1
    r8 |= r0
    ; What comes of two.
    r1 = r6
    r2 = r6
    r3 = r7
    call bpf_cpumask_and
    r0 &= 1
    r8 <<= 1
    r8 |= r0
    r1 = r6
    r2 = r6
    r3 = r7
    call bpf_cpumask_xor
    r1 = r6
    call bpf_cpumask_empty
    r0 &= 1
    r8 <<= 1
    r8 |= r0
    r1 = r6
    r2 = r6
    r3 = r7
    call bpf_cpumask_and
    r0 &= 1
    r8 <<= 1
    r8 |= r0
    r1 = r6
    r2 = r6
    r3 = r7
    call bpf_cpumask_or
    r1 = r6
    call bpf_cpumask_weight
    r0 &= 1
    r8 <<= 1
    r8 |= r0
    r1 = r6
    call bpf_cpumask_setall
    r1 = r6
    call bpf_cpumask_full
    r0 &= 1
    r8 <<= 1
    r8 |= r0
    r1 = r7
    r2 = r6
    call bpf_cpumask_copy
    r1 = r7
    call bpf_cpumask_full
    r0 &= 1
    r8 <<= 1
    r8 |= r0
    r1 = 0
    r2 = r7
    call bpf_cpumask_test_and_clear_cpu
    r0 &= 1
    r8 <<= 1
    r8 |= r0
    r1 = 0
    r2 = r7
    call bpf_cpumask_clear_cpu
    r1 = r7
    call bpf_cpumask_first_zero
    r0 &= 1
    r8 <<= 1
    r8 |= r0
    r1 = r7
    call bpf_cpumask_clear
    r1 = r7
    call bpf_cpumask_empty
    r0 &= 1
    r8 <<= 1
    r8 |= r0
    ; A further owner.
    r1 = r6
    call bpf_cpumask_acquire
    r9 = r0
    r1 = r6
    call bpf_cpumask_release
    r6 = r9
    r1 = r6
    call bpf_cpumask_full
    r0 &= 1
    r8 <<= 1
    r8 |= r0
    r1 = r7
    call bpf_cpumask_release
one:
    r1 = r6
    call bpf_cpumask_release
none:
    r0 = r8
    exit
