; Lists in an arena, by addresses in its pages: one linked forwards, one by its neighbours' addresses xor each other; both
; cross a page, and are walked to their ends.
; accept
; run: ctx=zeros:16 => retval=2773602476
.map arena type=arena max_entries=4 flags=BPF_F_MMAPABLE
.section syscall
main:
    r9 = 0
    r1 = map[arena]
    r2 = 0
    r3 = 2
    r4 = -1
    r5 = 0
    call bpf_arena_alloc_pages
    if r0 == 0 goto out
    r6 = r0
    r7 = 0
    r8 = 0
push:
    r1 = r8
    r1 *= 48
    r1 += r6
    r2 = addr_space_cast(r1, 0, 1)
    *(u64 *)(r2 + 0) = r7
    *(u64 *)(r2 + 8) = r8
    r7 = r1
    r8 += 1
    if r8 < 100 goto push
    r8 = 0
walk:
    if r7 == 0 goto walked
    r2 = addr_space_cast(r7, 0, 1)
    r3 = *(u64 *)(r2 + 8)
    r9 *= 3
    r9 += r3
    r7 = *(u64 *)(r2 + 0)
    r8 += 1
    if r8 < 200 goto walk
walked:
    r9 += r8
    ; Node i stands at 48 * (7 * i % 100) + 16; beside it are those before and behind.
    r8 = 0
    r7 = 0
    r5 = r6
    r5 += 16
link:
    r4 = r8
    r4 += 1
    r4 *= 7
    r4 %= 100
    r4 *= 48
    r4 += r6
    r4 += 16
    if r8 != 99 goto more
    r4 = 0
more:
    r2 = addr_space_cast(r5, 0, 1)
    r3 = r7
    r3 ^= r4
    *(u64 *)(r2 + 0) = r3
    *(u64 *)(r2 + 8) = r8
    r7 = r5
    r5 = r4
    r8 += 1
    if r8 < 100 goto link
    ; From its end back to its start.
    r5 = r7
    r7 = 0
    r8 = 0
back:
    if r5 == 0 goto done
    r2 = addr_space_cast(r5, 0, 1)
    r3 = *(u64 *)(r2 + 8)
    r9 *= 5
    r9 += r3
    r4 = *(u64 *)(r2 + 0)
    r4 ^= r7
    r7 = r5
    r5 = r4
    r8 += 1
    if r8 < 200 goto back
done:
    r9 *= 7
    r9 += r8
out:
    r0 = r9
    exit
