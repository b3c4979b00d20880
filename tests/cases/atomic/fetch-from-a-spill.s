; A fetch gives what was on the stack: a number above 0x8000 does not take the branch, though the other path,
; where the number is the constant 13, always does.
; targets: interpreter
; accept
; run: data=00000000000000000000000000000000000000000000000000000000000000 => retval=1
; run: data=000000000000000000000000ffffffff000000000000000000000000000000 => retval=2
.section xdp
main:
    r7 = 13
    r0 = 1
    r2 = *(u32 *)(r1 + 0)
    r3 = *(u32 *)(r1 + 4)
    r4 = r2
    r4 += 20
    if r4 <= r3 goto inside
    goto spilled
inside:
    r7 = *(u64 *)(r2 + 12)
spilled:
    *(u64 *)(r10 - 24) = r7
    w0 = atomic_fetch_xor((u32 *)(r10 - 24), w0)
    if w0 <= 0x8000 goto small
    r0 = 2
    exit
small:
    r0 = 1
    exit
