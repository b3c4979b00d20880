; Each CPU's value of a per-CPU array; the next CPU's is not this one's, and there is no CPU 70000.
; accept
; run: data=zeros:32 => retval=1
.map counts type=percpu_array key=4 value=8 max_entries=2
.section socket
main:
    call bpf_get_smp_processor_id
    r6 = r0
    *(u32 *)(r10 - 4) = 1
    r1 = map[counts] ll
    r2 = r10
    r2 += -4
    r3 = r6
    call bpf_map_lookup_percpu_elem
    if r0 == 0 goto bad
    *(u64 *)(r0 + 0) = 5
    r1 = map[counts] ll
    r2 = r10
    r2 += -4
    call bpf_map_lookup_elem
    if r0 == 0 goto bad
    r7 = *(u64 *)(r0 + 0)
    if r7 != 5 goto bad
    r1 = map[counts] ll
    r2 = r10
    r2 += -4
    r3 = r6
    r3 ^= 1
    call bpf_map_lookup_percpu_elem
    if r0 == 0 goto far
    r7 = *(u64 *)(r0 + 0)
    if r7 == 5 goto bad
far:
    r1 = map[counts] ll
    r2 = r10
    r2 += -4
    r3 = 70000
    call bpf_map_lookup_percpu_elem
    if r0 != 0 goto bad
    r0 = 1
    exit
bad:
    r0 = 0
    exit
