; Pages of an arena: given out, at an address or anywhere, given back, reserved; each answer as the page's number.
; accept
; run: ctx=zeros:16 => retval=232146613
.map arena type=arena max_entries=8 flags=BPF_F_MMAPABLE
.section syscall
main:
    r9 = 0
    r7 = map[arena][0]+0 ll
    r1 = map[arena]
    r2 = 0
    r3 = 1
    r4 = -1
    r5 = 0
    call bpf_arena_alloc_pages
    if r0 == 0 goto none0
    r0 -= r7
    r0 >>= 12
    goto mix0
none0:
    r0 = 99
mix0:
    r9 *= 31
    r9 += r0
    r1 = map[arena]
    r2 = 0
    r3 = 2
    r4 = -1
    r5 = 0
    call bpf_arena_alloc_pages
    if r0 == 0 goto none1
    r0 -= r7
    r0 >>= 12
    goto mix1
none1:
    r0 = 99
mix1:
    r9 *= 31
    r9 += r0
    r1 = map[arena]
    r2 = r7
    r2 += 20480
    r3 = 1
    r4 = -1
    r5 = 0
    call bpf_arena_alloc_pages
    if r0 == 0 goto none2
    r0 -= r7
    r0 >>= 12
    goto mix2
none2:
    r0 = 99
mix2:
    r9 *= 31
    r9 += r0
    r1 = map[arena]
    r2 = r7
    r2 += 20480
    r3 = 1
    r4 = -1
    r5 = 0
    call bpf_arena_alloc_pages
    if r0 == 0 goto none3
    r0 -= r7
    r0 >>= 12
    goto mix3
none3:
    r0 = 99
mix3:
    r9 *= 31
    r9 += r0
    r1 = map[arena]
    r2 = 0
    r3 = 9
    r4 = -1
    r5 = 0
    call bpf_arena_alloc_pages
    if r0 == 0 goto none4
    r0 -= r7
    r0 >>= 12
    goto mix4
none4:
    r0 = 99
mix4:
    r9 *= 31
    r9 += r0
    r1 = map[arena]
    r2 = r7
    r2 += 28672
    r3 = 2
    r4 = -1
    r5 = 0
    call bpf_arena_alloc_pages
    if r0 == 0 goto none5
    r0 -= r7
    r0 >>= 12
    goto mix5
none5:
    r0 = 99
mix5:
    r9 *= 31
    r9 += r0
    r1 = map[arena]
    r2 = r7
    r2 += 24584
    r3 = 1
    r4 = -1
    r5 = 0
    call bpf_arena_alloc_pages
    if r0 == 0 goto none6
    r0 -= r7
    r0 >>= 12
    goto mix6
none6:
    r0 = 99
mix6:
    r9 *= 31
    r9 += r0
    r1 = map[arena]
    r2 = 0
    r3 = 1
    r4 = -1
    r5 = 1
    call bpf_arena_alloc_pages
    if r0 == 0 goto none7
    r0 -= r7
    r0 >>= 12
    goto mix7
none7:
    r0 = 99
mix7:
    r9 *= 31
    r9 += r0
    r1 = map[arena]
    r2 = 0
    r3 = 0
    r4 = -1
    r5 = 0
    call bpf_arena_alloc_pages
    if r0 == 0 goto none8
    r0 -= r7
    r0 >>= 12
    goto mix8
none8:
    r0 = 99
mix8:
    r9 *= 31
    r9 += r0
    r1 = map[arena]
    r2 = 0
    r3 = 1
    r4 = 77
    r5 = 0
    call bpf_arena_alloc_pages
    if r0 == 0 goto none9
    r0 -= r7
    r0 >>= 12
    goto mix9
none9:
    r0 = 99
mix9:
    r9 *= 31
    r9 += r0
    r1 = map[arena]
    r2 = r7
    r2 += 4096
    r3 = 2
    call bpf_arena_free_pages
    r1 = map[arena]
    r2 = r7
    r2 += 12288
    r3 = 1
    call bpf_arena_reserve_pages
    w0 = w0
    r9 *= 31
    r9 += r0
    r1 = map[arena]
    r2 = 0
    r3 = 1
    r4 = -1
    r5 = 0
    call bpf_arena_alloc_pages
    if r0 == 0 goto none11
    r0 -= r7
    r0 >>= 12
    goto mix11
none11:
    r0 = 99
mix11:
    r9 *= 31
    r9 += r0
    r1 = map[arena]
    r2 = r7
    r2 += 16384
    r3 = 1
    call bpf_arena_reserve_pages
    w0 = w0
    r9 *= 31
    r9 += r0
    r1 = map[arena]
    r2 = r7
    r2 += 28672
    r3 = 2
    call bpf_arena_reserve_pages
    w0 = w0
    r9 *= 31
    r9 += r0
    r1 = map[arena]
    r2 = r7
    r2 += 28672
    r3 = 0
    call bpf_arena_reserve_pages
    w0 = w0
    r9 *= 31
    r9 += r0
    r1 = map[arena]
    r2 = r7
    r2 += 12288
    r3 = 1
    r4 = -1
    r5 = 0
    call bpf_arena_alloc_pages
    if r0 == 0 goto none15
    r0 -= r7
    r0 >>= 12
    goto mix15
none15:
    r0 = 99
mix15:
    r9 *= 31
    r9 += r0
    r1 = map[arena]
    r2 = r7
    r2 += 12288
    r3 = 1
    call bpf_arena_free_pages
    r1 = map[arena]
    r2 = r7
    r2 += 12288
    r3 = 1
    r4 = -1
    r5 = 0
    call bpf_arena_alloc_pages
    if r0 == 0 goto none16
    r0 -= r7
    r0 >>= 12
    goto mix16
none16:
    r0 = 99
mix16:
    r9 *= 31
    r9 += r0
    r1 = map[arena]
    r2 = r7
    r2 += 0
    r3 = 100
    call bpf_arena_free_pages
    r1 = map[arena]
    r2 = 0
    r3 = 8
    r4 = -1
    r5 = 0
    call bpf_arena_alloc_pages
    if r0 == 0 goto none17
    r0 -= r7
    r0 >>= 12
    goto mix17
none17:
    r0 = 99
mix17:
    r9 *= 31
    r9 += r0
    r1 = map[arena]
    r2 = 0
    r3 = 1
    r4 = -1
    r5 = 0
    call bpf_arena_alloc_pages
    if r0 == 0 goto none18
    r0 -= r7
    r0 >>= 12
    goto mix18
none18:
    r0 = 99
mix18:
    r9 *= 31
    r9 += r0
    r0 = r9
    r9 >>= 32
    w0 ^= w9
    exit
