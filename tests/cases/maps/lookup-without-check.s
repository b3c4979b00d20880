; A lookup may give NULL.
; reject: R0 invalid mem access 'map_value_or_null'
.map table type=hash key=8 value=8 max_entries=2
.section syscall
main:
    *(u64 *)(r10 - 8) = 0
    r1 = map[table] ll
    r2 = r10
    r2 += -8
    call bpf_map_lookup_elem
    r0 = *(u64 *)(r0 + 0) ; error
    exit
