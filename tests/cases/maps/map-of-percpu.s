; Values of a CPU, and the newest of an LRU hash, in maps of maps.
; slot cpus 00000000: one
; slot recents 00000000: recent
; accept
; run: ctx=[5] => retval=5
; run: ctx=[6] => retval=11
; map one: 00000000=[0xb]
; map recent: 0500000000000000=[0x5] 0600000000000000=[0xb]
.map one type=percpu_array key=4 value=8 max_entries=2
.map cpus type=array_of_maps key=4 value=4 max_entries=1 inner=one
.map recent type=lru_hash key=8 value=8 max_entries=256
.map recents type=hash_of_maps key=4 value=4 max_entries=3 inner=recent
.section syscall
main:
    r6 = *(u64 *)(r1 + 0)
    *(u32 *)(r10 - 4) = 0
    *(u64 *)(r10 - 16) = r6
    r1 = map[cpus] ll
    r2 = r10
    r2 += -4
    call bpf_map_lookup_elem
    if r0 == 0 goto out
    r1 = r0
    r2 = r10
    r2 += -4
    call bpf_map_lookup_elem
    if r0 == 0 goto out
    r1 = *(u64 *)(r0 + 0)
    r1 += r6
    *(u64 *)(r0 + 0) = r1
    r7 = r0
    r1 = map[recents] ll
    r2 = r10
    r2 += -4
    call bpf_map_lookup_elem
    if r0 == 0 goto out
    r1 = r0
    r2 = r10
    r2 += -16
    r3 = r7
    r4 = 0
    call bpf_map_update_elem
    r0 = *(u64 *)(r7 + 0)
out:
    exit
