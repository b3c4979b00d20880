; lddw_map_idx: Loads a map by its index in fd_array.
; accept
; run: ctx=zeros:64 => retval=0 ctx=[0x0,0x0,0x0,0x100f0e0d0c0b0a09]+zeros:32
.map words type=array key=4 value=16 max_entries=1 initial=0102030405060708090a0b0c0d0e0f10
.section syscall
main:
    r6 = r1
    r7 = *(u64 *)(r6 + 0x0)
    r8 = *(u64 *)(r6 + 0x8)
    *(u32 *)(r10 - 0x4) = 0x0
    r1 = map[words] ll
    r2 = r10
    r2 += -0x4
    call 0x1
    r7 = -0x1
    if r0 == 0x0 goto +0x1
    r7 = *(u64 *)(r0 + 0x8)
    *(u64 *)(r6 + 0x18) = r7
    r0 = 0x0
    exit
