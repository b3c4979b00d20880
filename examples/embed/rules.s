.license GPL
.map slow type=hash key=4 value=8 max_entries=64

# Counts slow requests by status.
.section request
count:
    r6 = *(u32 *)(r1 + 0)
    *(u32 *)(r10 - 4) = r6
    r1 = *(u64 *)(r1 + 8)
    call is_slow
    if r0 == 0 goto out
    r1 = r6
    call note
    r1 = 1
    *(u64 *)(r10 - 16) = r1
    r1 = map[slow] ll
    r2 = r10
    r2 += -4
    call bpf_map_lookup_elem
    if r0 == 0 goto first
    r1 = 1
    lock *(u64 *)(r0 + 0) += r1
    goto out
first:
    r1 = map[slow] ll
    r2 = r10
    r2 += -4
    r3 = r10
    r3 += -16
    r4 = 0
    call bpf_map_update_elem
out:
    r0 = 0
    exit

# A program type of its own: may return 0 or 1.
.section policy
admit:
    r1 = *(u64 *)(r1 + 8)
    call is_slow
    r0 &= 1
    exit
