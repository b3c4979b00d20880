; BPF_NOEXIST inserts once, BPF_EXIST replaces, an unknown flag is refused at run time.
; accept
; run: ctx=[7,1] => retval=0
; run: ctx=[7,1] => retval=4294967279
; run: ctx=[7,2] => retval=0
; run: ctx=[8,2] => retval=4294967294
; run: ctx=[8,0] => retval=0
; run: ctx=[9,99] => retval=4294967274
.map table type=hash key=8 value=8 max_entries=2
; map table: 0700000000000000=[0x2]
.section syscall
main:
    r6 = *(u64 *)(r1 + 0)
    r4 = *(u64 *)(r1 + 8)
    *(u64 *)(r10 - 8) = r6
    *(u64 *)(r10 - 16) = r4
    r1 = map[table] ll
    r2 = r10
    r2 += -8
    r3 = r10
    r3 += -16
    call bpf_map_update_elem
    exit
