; A sleepable program may not use an LPM trie.
; reject: Sleepable programs can only use array, hash, ringbuf and local storage maps
.map routes type=lpm_trie key=8 value=8 max_entries=8 flags=1
.section syscall
main:
    *(u64 *)(r10 - 8) = 0
    r1 = map[routes] ll
    r2 = r10
    r2 += -8
    call bpf_map_lookup_elem
    r0 = 0
    exit
