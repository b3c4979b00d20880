; Linux 6.18 clears the half above w0 only if its verifier has seen a 64-bit use of r0 on the path through the
; cmpxchg32. Here the other path comes to the join first and that one is cut there. Where this fails a kernel has
; been mended: docs/parity.md has the row, and the generator the w0 = w0 that keeps away from it.
; targets: kernel
; accept
; run: data=zeros:64 => retval=4294967295
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
