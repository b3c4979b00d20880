; A lock in a value of a map inside, and that map walked.
; slot tables 00000000: one
; accept
; run: data=zeros:14 => retval=5
; run: data=zeros:14 => retval=10
; map one: 00000000=[0x3,0xa]
.map one type=hash key=4 value=16 max_entries=4 lock=4
.map tables type=array_of_maps key=4 value=4 max_entries=1 inner=one
.section tc
main:
    *(u32 *)(r10 - 4) = 0
    *(u64 *)(r10 - 24) = 3
    *(u64 *)(r10 - 16) = 0
    r1 = map[tables] ll
    r2 = r10
    r2 += -4
    call bpf_map_lookup_elem
    if r0 == 0 goto out
    r6 = r0
    r1 = r6
    r2 = r10
    r2 += -4
    r3 = r10
    r3 += -24
    r4 = 1
    call bpf_map_update_elem
    r1 = r6
    r2 = r10
    r2 += -4
    call bpf_map_lookup_elem
    if r0 == 0 goto out
    r7 = r0
    r1 = r7
    r1 += 4
    call bpf_spin_lock
    r1 = *(u64 *)(r7 + 8)
    r1 += 5
    *(u64 *)(r7 + 8) = r1
    r1 = r7
    r1 += 4
    call bpf_spin_unlock
    r0 = *(u64 *)(r7 + 8)
out:
    exit
