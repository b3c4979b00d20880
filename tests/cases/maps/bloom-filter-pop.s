; Nothing is taken out of a bloom filter.
; reject: cannot pass map_type 30 into func bpf_map_pop_elem#88
.map seen type=bloom_filter key=0 value=8 max_entries=4
.section raw_tp/sys_enter
main:
    *(u64 *)(r10 - 8) = 0
    r1 = map[seen] ll
    r2 = r10
    r2 += -8
    call bpf_map_pop_elem ; error
    exit
