; Two values in, three out: the last is zeros and an error.
; accept
; run: ctx=[1,2] => retval=33
; run: ctx=[3,4] => retval=67
.map values type=stack key=0 value=8 max_entries=3
; map values: 
.section syscall
main:
    r2 = *(u64 *)(r1 + 0)
    *(u64 *)(r10 - 8) = r2
    r2 = *(u64 *)(r1 + 8)
    *(u64 *)(r10 - 16) = r2
    r1 = map[values] ll
    r2 = r10
    r2 += -8
    r3 = 0
    call bpf_map_push_elem
    r1 = map[values] ll
    r2 = r10
    r2 += -16
    r3 = 0
    call bpf_map_push_elem
    r1 = map[values] ll
    r2 = r10
    r2 += -8
    call bpf_map_pop_elem
    r7 = *(u64 *)(r10 - 8)
    r1 = map[values] ll
    r2 = r10
    r2 += -8
    call bpf_map_pop_elem
    r1 = *(u64 *)(r10 - 8)
    r7 *= 16
    r7 += r1
    *(u64 *)(r10 - 8) = -1
    r1 = map[values] ll
    r2 = r10
    r2 += -8
    call bpf_map_pop_elem
    r8 = r0
    r1 = *(u64 *)(r10 - 8)
    if r1 != 0 goto bad
    if r8 != -2 goto bad
    r0 = r7
    exit
bad:
    r0 = -1
    exit
