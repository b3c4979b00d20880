; What each CPU has of an object: by the first CPU's, in a pointer of a map, and for a CPU that is not there.
; accept
; run: data=zeros:16 => retval=7
; run: data=zeros:16 => retval=14
.map pointers type=array key=4 value=48 max_entries=1 fields=pointers
.section tc
main:
    r9 = 0
    *(u32 *)(r10 - 4) = 0
    r1 = map[pointers] ll
    r2 = r10
    r2 += -4
    call bpf_map_lookup_elem
    if r0 == 0 goto none
    r7 = r0
    r6 = *(u64 *)(r7 + 16)
    if r6 != 0 goto there
    r1 = type plain
    r2 = 0
    call bpf_percpu_obj_new_impl
    if r0 == 0 goto none
    r6 = r0
    r1 = r7
    r1 += 16
    r2 = r6
    call bpf_kptr_xchg
    if r0 == 0 goto put
    r1 = r0
    r2 = 0
    call bpf_percpu_obj_drop_impl
put:
    r6 = *(u64 *)(r7 + 16)
    if r6 == 0 goto none
    r1 = r6
    r2 = 0
    call bpf_per_cpu_ptr
    if r0 == 0 goto none
    *(u64 *)(r0 + 0) = 0
    *(u64 *)(r0 + 8) = 0
there:
    r1 = r6
    r2 = 1000000
    call bpf_per_cpu_ptr
    if r0 != 0 goto none
    r1 = r6
    call bpf_this_cpu_ptr
    r1 = *(u64 *)(r0 + 8)
    r1 = r6
    r2 = 0
    call bpf_per_cpu_ptr
    if r0 == 0 goto none
    r1 = *(u64 *)(r0 + 8)
    r1 += 7
    *(u64 *)(r0 + 8) = r1
    r9 = r1
none:
    r0 = r9
    exit
