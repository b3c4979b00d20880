; A cmpxchg32 that succeeds leaves zeros above w0, also where another path joins behind it.
; targets: interpreter
; accept
; run: data=zeros:64 => retval=0
.license GPL
.map hash type=hash key=8 value=16 max_entries=4
.section socket
main:
    r6 = r1
    w7 = 5
    w8 = *(u32 *)(r6 + 0)
    *(u64 *)(r10 - 8) = 4
    r1 = map[hash] ll
    r2 = r10
    r2 += -8
    call bpf_map_delete_elem        // -ENOENT: all high bits are set
    if w8 s>= w8 goto swap          // always, which no verifier sees
    goto join
swap:
    *(u64 *)(r10 - 8) = r0
    w0 = cmpxchg32_32(r10 - 8, w0, w7)
join:
    r0 >>= 32
    exit
