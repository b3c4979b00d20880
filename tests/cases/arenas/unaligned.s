; Atomic operations in an arena at addresses that are no multiples of their sizes: within a word, over words, cache lines
; and pages. The machine does them, and so does x86-64 here.
; accept
; run: ctx=zeros:16 => retval=4199696192
.map arena type=arena max_entries=4 flags=BPF_F_MMAPABLE
.section syscall
main:
    r9 = 7
    r1 = map[arena]
    r2 = 0
    r3 = 2
    r4 = -1
    r5 = 0
    call bpf_arena_alloc_pages
    r6 = addr_space_cast(r0, 0, 1)
    r2 = 0x1122334455667788 ll
    lock *(u64 *)(r6 + 4) += r2
    r2 = -1
    r2 = atomic_fetch_add((u64 *)(r6 + 4), r2)
    r9 *= 31
    r9 += r2
    r2 = 5
    r2 = atomic_fetch_add((u64 *)(r6 + 61), r2)
    r9 *= 31
    r9 += r2
    r2 = 0xff
    lock *(u32 *)(r6 + 62) |= r2
    r2 = 0xf0f
    lock *(u32 *)(r6 + 6) &= r2
    r2 = -2
    lock *(u32 *)(r6 + 4094) ^= r2
    r2 = 77
    r2 = xchg_64(r6 + 4089, r2)
    r9 *= 31
    r9 += r2
    r0 = 77
    r2 = 99
    r0 = cmpxchg_64(r6 + 4089, r0, r2)
    r9 *= 31
    r9 += r0
    r0 = 77
    r2 = 100
    r0 = cmpxchg_64(r6 + 4089, r0, r2)
    r9 *= 31
    r9 += r0
    r0 = -1
    r2 = 3
    w0 = cmpxchg32_32(r6 + 4097, w0, w2)
    r9 *= 31
    r9 += r0
    r7 = r6
    r7 += 8192
    r2 = 3
    r2 = xchg_64(r7 - 4, r2)
    r9 *= 31
    r9 += r2
    r1 = 0
sum:
    r3 = r6
    r3 += r1
    r2 = *(u64 *)(r3 + 0)
    r9 *= 31
    r9 += r2
    r1 += 8
    if r1 < 8192 goto sum
    r0 = r9
    r9 >>= 32
    w0 ^= w9
    exit
