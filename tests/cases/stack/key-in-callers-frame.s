; What a function that goes into its caller gives to a helper may lie in the caller's frame.
; accept
; run: data=zeros:32 => retval=154
.map table type=hash key=4 value=8 max_entries=8
.map array type=array key=4 value=8 max_entries=8
.section socket
main:
    *(u32 *)(r10 - 4) = 2
    *(u64 *)(r10 - 16) = 77
    r1 = map[table] ll
    r2 = r10
    r2 += -4
    r3 = r10
    r3 += -16
    r4 = 0
    call bpf_map_update_elem
    r1 = map[array] ll
    r2 = r10
    r2 += -4
    r3 = r10
    r3 += -16
    r4 = 0
    call bpf_map_update_elem
    *(u32 *)(r10 - 24) = 2
    r1 = r10
    r1 += -24
    call of_hash
    r6 = r0
    *(u32 *)(r10 - 20) = 2
    r1 = r10
    r1 += -20
    call of_array
    r0 += r6
    exit
of_hash:
    r2 = r1
    r1 = map[table] ll
    call bpf_map_lookup_elem
    if r0 == 0 goto none
    r0 = *(u64 *)(r0 + 0)
none:
    exit
of_array:
    r2 = r1
    r1 = map[array] ll
    call bpf_map_lookup_elem
    if r0 == 0 goto out
    r0 = *(u64 *)(r0 + 0)
out:
    exit
