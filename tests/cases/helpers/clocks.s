; Clocks of every kind run, and not backwards; a coarse clock is behind the fine one.
; accept
; run: data=zeros:64 => retval=1
.section socket
main:
    call bpf_ktime_get_coarse_ns
    r6 = r0
    call bpf_ktime_get_ns
    if r0 < r6 goto bad
    call bpf_ktime_get_coarse_ns
    if r0 < r6 goto bad
    call bpf_ktime_get_tai_ns
    r6 = r0
    call bpf_ktime_get_tai_ns
    if r0 < r6 goto bad
    call bpf_jiffies64
    r6 = r0
    if r6 == 0 goto bad
    call bpf_jiffies64
    if r0 < r6 goto bad
    call bpf_get_numa_node_id
    if r0 > 1000 goto bad
    r0 = 1
    exit
bad:
    r0 = 0
    exit
