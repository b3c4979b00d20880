; Anything may be taken for an address in an arena: numbers, addresses of other memory. Nothing is there.
; accept
; run: ctx=zeros:16 => retval=0
.map arena type=arena max_entries=2 flags=BPF_F_MMAPABLE
.section syscall
main:
    r7 = r1
    r6 = map[arena]
    r9 = 0
    r1 = -1
    r1 = addr_space_cast(r1, 0, 1)
    r2 = *(u64 *)(r1 + 32767)
    r9 += r2
    r2 = *(u64 *)(r1 - 32768)
    r9 += r2
    *(u64 *)(r1 + 0) = 7
    r1 = addr_space_cast(r10, 0, 1)
    *(u64 *)(r1 - 8) = 7
    r2 = *(u64 *)(r1 - 8)
    r9 += r2
    r1 = addr_space_cast(r7, 0, 1)
    *(u64 *)(r1 + 0) = 7
    r1 = 0
    r1 = addr_space_cast(r1, 0, 1)
    r2 = *(u32 *)(r1 + 0)
    r9 += r2
    r0 = *(u64 *)(r7 + 0)
    r0 += r9
    exit
