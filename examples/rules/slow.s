.license GPL
.map hits type=array key=4 value=8 max_entries=8

# Counts by level the requests of the service "shop" that failed or were slow.
.section rule
slow:
    r6 = r1
    r1 = *(u32 *)(r6 + 4)
    if r1 >= 500 goto service
    r1 = *(u64 *)(r6 + 8)
    if r1 > 10000 goto service
    r0 = 0
    exit
service:
    r1 = 0x706f6873
    *(u32 *)(r10 - 8) = r1
    r1 = *(u64 *)(r6 + 16)
    r2 = r10
    r2 += -8
    r3 = 4
    call service_is
    if r0 == 0 goto out
    r1 = *(u32 *)(r6 + 0)
    *(u32 *)(r10 - 4) = r1
    r1 = map[hits] ll
    r2 = r10
    r2 += -4
    call bpf_map_lookup_elem
    if r0 == 0 goto out
    r1 = 1
    lock *(u64 *)(r0 + 0) += r1
    r0 = 1
    exit
out:
    r0 = 0
    exit
