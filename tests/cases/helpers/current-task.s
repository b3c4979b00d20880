; What must hold of the running thread whoever it is: the name has a NUL and zeros behind it, its ids are not 0, its
; control group has an ancestor at level 0 and none at a level that no group has.
; accept
; run: ctx=zeros:64 => retval=0 ctx=[0x0,0x0,0x0,0x0,0x0,0xffffffffffffffea,0x0,0x7]
.section syscall
main:
    r6 = r1
    *(u64 *)(r10 - 8) = -1
    *(u64 *)(r10 - 16) = -1
    *(u64 *)(r10 - 24) = -1
    r1 = r10
    r1 += -24
    r2 = 24
    call bpf_get_current_comm
    *(u64 *)(r6 + 0) = r0
    r1 = *(u64 *)(r10 - 8)
    *(u64 *)(r6 + 8) = r1
    r1 = r10
    r1 += -24
    r2 = 1
    call bpf_get_current_comm
    r1 = *(u8 *)(r10 - 24)
    *(u64 *)(r6 + 16) = r1
    call bpf_get_current_pid_tgid
    if w0 == 0 goto out
    r0 >>= 32
    if r0 == 0 goto out
    call bpf_get_current_task
    if r0 == 0 goto out
    r1 = 0
    call bpf_get_current_ancestor_cgroup_id
    if r0 == 0 goto out
    call bpf_get_current_cgroup_id
    if r0 == 0 goto out
    r1 = 1000
    call bpf_get_current_ancestor_cgroup_id
    *(u64 *)(r6 + 24) = r0
    r1 = -1
    call bpf_get_current_ancestor_cgroup_id
    *(u64 *)(r6 + 32) = r0
    *(u64 *)(r10 - 8) = -1
    r1 = 0
    r2 = 0
    r3 = r10
    r3 += -8
    r4 = 8
    call bpf_get_ns_current_pid_tgid
    *(u64 *)(r6 + 40) = r0
    r1 = *(u64 *)(r10 - 8)
    *(u64 *)(r6 + 48) = r1
    *(u64 *)(r6 + 56) = 7
out:
    r0 = 0
    exit
