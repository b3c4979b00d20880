; A slot is no memory: what it gives is the map.
; reject: only read from bpf_array is supported
.map first type=array key=4 value=8 max_entries=2
.map counts type=array_of_maps key=4 value=4 max_entries=4 inner=first
.section syscall
main:
    *(u32 *)(r10 - 4) = 0
    r1 = map[counts] ll
    r2 = r10
    r2 += -4
    call bpf_map_lookup_elem
    if r0 == 0 goto out
    *(u32 *)(r0 + 0) = 1 ; error
out:
    r0 = 0
    exit
