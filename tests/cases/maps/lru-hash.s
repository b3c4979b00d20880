; Updates and deletions of an LRU hash with room for all; what the flags ask for holds as for a hash.
; accept
; run: ctx=[7,1] => retval=7
; run: ctx=[7,1] => retval=4294967279
; run: ctx=[8,2] => retval=4294967294
; run: ctx=[8,0] => retval=8
; run: ctx=[9,99] => retval=4294967274
.map recent type=lru_hash key=8 value=8 max_entries=1024
.section syscall
main:
    r6 = *(u64 *)(r1 + 0)
    r4 = *(u64 *)(r1 + 8)
    *(u64 *)(r10 - 8) = r6
    *(u64 *)(r10 - 16) = r6
    r1 = map[recent] ll
    r2 = r10
    r2 += -8
    r3 = r10
    r3 += -16
    call bpf_map_update_elem
    if r0 != 0 goto out
    r1 = map[recent] ll
    r2 = r10
    r2 += -8
    call bpf_map_lookup_elem
    if r0 == 0 goto out
    r0 = *(u64 *)(r0 + 0)
out:
    exit
