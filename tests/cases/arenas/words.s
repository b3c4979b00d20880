; Words of an arena. Where no page is there a load gives 0 and everything else does nothing.
; accept
; run: ctx=zeros:16 => retval=469168337
; run: ctx=zeros:16 => retval=469168337
.map arena type=arena max_entries=4 flags=BPF_F_MMAPABLE
.section syscall
main:
    r9 = 7
    r1 = map[arena]
    r2 = 0
    r3 = 1
    r4 = -1
    r5 = 0
    call bpf_arena_alloc_pages
    r8 = r0
    r6 = addr_space_cast(r0, 0, 1)
    r1 = *(u64 *)(r6 + 8)
    r9 += r1
    *(u64 *)(r6 + 0) = 0x7f
    *(u8 *)(r6 + 4) = 0x85
    *(u16 *)(r6 + 6) = -2
    r1 = *(s16 *)(r6 + 6)
    r9 += r1
    r1 = *(s8 *)(r6 + 4)
    r9 *= 31
    r9 += r1
    r1 = *(u32 *)(r6 + 3)
    r9 *= 31
    r9 += r1
    *(u64 *)(r6 + 16) = 40
    r2 = 2
    lock *(u64 *)(r6 + 16) += r2
    r2 = 5
    r2 = atomic_fetch_add((u64 *)(r6 + 16), r2)
    r9 *= 31
    r9 += r2
    r0 = 47
    r2 = 100
    r0 = cmpxchg_64(r6 + 16, r0, r2)
    r9 *= 31
    r9 += r0
    r2 = 9
    r2 = xchg_64(r6 + 16, r2)
    r9 *= 31
    r9 += r2
    r1 = *(u64 *)(r6 + 4093)
    r9 *= 31
    r9 += r1
    *(u64 *)(r6 + 4093) = -1
    r1 = *(u8 *)(r6 + 4093)
    r9 *= 31
    r9 += r1
    r7 = r6
    r7 += 8192
    *(u64 *)(r7 + 0) = 55
    r1 = *(u64 *)(r7 + 0)
    r9 *= 31
    r9 += r1
    r2 = 3
    r2 = xchg_64(r7 + 0, r2)
    r9 *= 31
    r9 += r2
    r0 = 4
    r2 = 8
    r0 = cmpxchg_64(r7 + 0, r0, r2)
    r9 *= 31
    r9 += r0
    r2 = 8
    r2 = atomic_fetch_add((u64 *)(r7 + 0), r2)
    r9 *= 31
    r9 += r2
    r1 = *(u64 *)(r6 - 8)
    r9 += r1
    r1 = addr_space_cast(r6, 1, 0)
    if r1 == r8 goto same
    r9 += 1000
same:
    r2 = 0
    r1 = addr_space_cast(r2, 1, 0)
    r9 += r1
    r3 = r6
    r3 += 24
    r1 = addr_space_cast(r3, 1, 0)
    r1 -= r8
    r9 *= 31
    r9 += r1
    r1 = map[arena]
    r2 = r8
    r3 = 1
    call bpf_arena_free_pages
    r1 = *(u64 *)(r6 + 0)
    r9 += r1
    r0 = r9
    r9 >>= 32
    w0 ^= w9
    exit
