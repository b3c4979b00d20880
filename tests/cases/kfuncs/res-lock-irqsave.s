; Two locks that notice deadlocks, of two elements, without interrupts: the last taken is the first given back.
; accept
; run: data=zeros:16 => retval=5
.map trees type=hash key=4 value=24 max_entries=2 fields=restrees
; element trees 00000000: zeros:24
; element trees 01000000: zeros:24
.section tc
main:
    r9 = 1
    *(u32 *)(r10 - 4) = 0
    r1 = map[trees] ll
    r2 = r10
    r2 += -4
    call bpf_map_lookup_elem
    if r0 == 0 goto none
    r6 = r0
    *(u32 *)(r10 - 4) = 1
    r1 = map[trees] ll
    r2 = r10
    r2 += -4
    call bpf_map_lookup_elem
    if r0 == 0 goto none
    r7 = r0
    r9 = 2
    r1 = r6
    r2 = r10
    r2 += -16
    call bpf_res_spin_lock_irqsave
    if r0 != 0 goto none
    r9 = 3
    r1 = r7
    r2 = r10
    r2 += -24
    call bpf_res_spin_lock_irqsave
    if r0 != 0 goto first
    r9 = 5
    r1 = r7
    r2 = r10
    r2 += -24
    call bpf_res_spin_unlock_irqrestore
first:
    r1 = r6
    r2 = r10
    r2 += -16
    call bpf_res_spin_unlock_irqrestore
none:
    r0 = r9
    exit
