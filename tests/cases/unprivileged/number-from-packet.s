; What a user without capabilities may do: numbers of the context, arithmetic, a map.
; unprivileged
; accept
; run: data=zeros:64 => retval=50
.map seen type=array key=4 value=8 max_entries=1
; map seen: 00000000=[0x32]
.section socket
main:
    r6 = *(u32 *)(r1 + 0)
    *(u32 *)(r10 - 4) = 0
    r1 = map[seen] ll
    r2 = r10
    r2 += -4
    call bpf_map_lookup_elem
    if r0 == 0 goto out
    *(u64 *)(r0 + 0) = r6
out:
    r0 = r6
    exit
