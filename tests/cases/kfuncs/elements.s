; How many elements a hash has; others do not count.
; accept
; run: data=zeros:14 => retval=131328
; map hash: 01000000=01000000
.map hash type=hash key=4 value=4 max_entries=8
.map array type=array key=4 value=4 max_entries=8
.section tc
main:
    *(u32 *)(r10 - 4) = 1
    r1 = map[hash]
    r2 = r10
    r2 += -4
    r3 = r2
    r4 = 0
    call bpf_map_update_elem
    *(u32 *)(r10 - 4) = 2
    r1 = map[hash]
    r2 = r10
    r2 += -4
    r3 = r2
    r4 = 0
    call bpf_map_update_elem
    r1 = map[hash]
    call bpf_map_sum_elem_count
    r6 = r0
    r1 = map[hash]
    r2 = r10
    r2 += -4
    call bpf_map_delete_elem
    r1 = map[hash]
    call bpf_map_sum_elem_count
    r6 <<= 8
    r6 += r0
    r1 = map[array]
    call bpf_map_sum_elem_count
    r6 <<= 8
    r6 += r0
    r0 = r6
    exit
