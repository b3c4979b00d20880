; The first byte is the index, the second has the flags: the map's verdict, or what the flags say for an empty slot.
; element out 00000000: 10000000
; accept
; run: data=0000000000000000000000000000 => retval=4
; run: data=0100000000000000000000000000 => retval=0
; run: data=0200000000000000000000000000 => retval=0
; run: data=0300000000000000000000000000 => retval=0
; run: data=0900000000000000000000000000 => retval=0
; run: data=0101000000000000000000000000 => retval=1
; run: data=0102000000000000000000000000 => retval=2
; run: data=0103000000000000000000000000 => retval=3
; run: data=0003000000000000000000000000 => retval=4
; run: data=0004000000000000000000000000 => retval=0
; run: data=0108000000000000000000000000 => retval=0
; run: data=0118000000000000000000000000 => retval=0
; run: data=0110000000000000000000000000 => retval=0
; run: data=0120000000000000000000000000 => retval=0
; run: data=0011000000000000000000000000 => retval=0
.map out type=cpumap key=4 value=4 max_entries=4
.section xdp
main:
    r2 = *(u32 *)(r1 + 0)
    r3 = *(u32 *)(r1 + 4)
    r4 = r2
    r4 += 14
    if r4 > r3 goto none
    r6 = *(u8 *)(r2 + 0)
    r3 = *(u8 *)(r2 + 1)
    r2 = r6
    r1 = map[out] ll
    call bpf_redirect_map
    exit
none:
    r0 = -1
    exit
