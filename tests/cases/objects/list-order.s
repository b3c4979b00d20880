; A list of objects: 0 puts a key first, 1 last, 2 takes the first out, 3 the last; the result is the key taken out, and behind
; it are the keys at the ends.
; accept
; run: ctx=[3,1,0,0] => retval=0
; run: ctx=[1,2,0,0] => retval=0 ctx=[0x1,0x2,0x2,0x2]
; run: ctx=[1,3,0,0] => retval=0 ctx=[0x1,0x3,0x2,0x3]
; run: ctx=[0,4,0,0] => retval=0 ctx=[0x0,0x4,0x4,0x3]
; run: ctx=[0,5,0,0] => retval=0 ctx=[0x0,0x5,0x5,0x3]
; run: ctx=[0,6,0,0] => retval=0 ctx=[0x0,0x6,0x6,0x3]
; run: ctx=[1,7,0,0] => retval=0 ctx=[0x1,0x7,0x6,0x7]
; run: ctx=[3,8,0,0] => retval=7 ctx=[0x3,0x8,0x6,0x3]
; run: ctx=[0,9,0,0] => retval=0 ctx=[0x0,0x9,0x9,0x3]
; run: ctx=[1,10,0,0] => retval=0 ctx=[0x1,0xa,0x9,0xa]
; run: ctx=[0,11,0,0] => retval=0 ctx=[0x0,0xb,0xb,0xa]
; run: ctx=[2,12,0,0] => retval=11 ctx=[0x2,0xc,0x9,0xa]
; run: ctx=[0,13,0,0] => retval=0 ctx=[0x0,0xd,0xd,0xa]
; run: ctx=[3,14,0,0] => retval=10 ctx=[0x3,0xe,0xd,0x3]
; run: ctx=[2,15,0,0] => retval=13 ctx=[0x2,0xf,0x9,0x3]
; run: ctx=[0,16,0,0] => retval=0 ctx=[0x0,0x10,0x10,0x3]
; run: ctx=[0,17,0,0] => retval=0 ctx=[0x0,0x11,0x11,0x3]
; run: ctx=[1,18,0,0] => retval=0 ctx=[0x1,0x12,0x11,0x12]
; run: ctx=[0,19,0,0] => retval=0 ctx=[0x0,0x13,0x13,0x12]
; run: ctx=[0,20,0,0] => retval=0 ctx=[0x0,0x14,0x14,0x12]
; run: ctx=[0,21,0,0] => retval=0 ctx=[0x0,0x15,0x15,0x12]
; run: ctx=[0,22,0,0] => retval=0 ctx=[0x0,0x16,0x16,0x12]
; run: ctx=[2,23,0,0] => retval=22 ctx=[0x2,0x17,0x15,0x12]
; run: ctx=[0,24,0,0] => retval=0 ctx=[0x0,0x18,0x18,0x12]
; run: ctx=[1,25,0,0] => retval=0 ctx=[0x1,0x19,0x18,0x19]
; run: ctx=[1,26,0,0] => retval=0 ctx=[0x1,0x1a,0x18,0x1a]
; run: ctx=[1,27,0,0] => retval=0 ctx=[0x1,0x1b,0x18,0x1b]
; run: ctx=[2,28,0,0] => retval=24 ctx=[0x2,0x1c,0x15,0x1b]
; run: ctx=[0,29,0,0] => retval=0 ctx=[0x0,0x1d,0x1d,0x1b]
; run: ctx=[1,30,0,0] => retval=0 ctx=[0x1,0x1e,0x1d,0x1e]
; run: ctx=[1,31,0,0] => retval=0 ctx=[0x1,0x1f,0x1d,0x1f]
; run: ctx=[2,32,0,0] => retval=29 ctx=[0x2,0x20,0x15,0x1f]
; run: ctx=[1,33,0,0] => retval=0 ctx=[0x1,0x21,0x15,0x21]
; run: ctx=[1,34,0,0] => retval=0 ctx=[0x1,0x22,0x15,0x22]
; run: ctx=[0,35,0,0] => retval=0 ctx=[0x0,0x23,0x23,0x22]
; run: ctx=[1,36,0,0] => retval=0 ctx=[0x1,0x24,0x23,0x24]
; run: ctx=[0,37,0,0] => retval=0 ctx=[0x0,0x25,0x25,0x24]
; run: ctx=[2,38,0,0] => retval=37 ctx=[0x2,0x26,0x23,0x24]
; run: ctx=[0,39,0,0] => retval=0 ctx=[0x0,0x27,0x27,0x24]
; run: ctx=[2,40,0,0] => retval=39 ctx=[0x2,0x28,0x23,0x24]
; run: ctx=[3,0,0,0] => retval=36 ctx=[0x3,0x0,0x23,0x22]
; run: ctx=[2,0,0,0] => retval=35 ctx=[0x2,0x0,0x15,0x22]
; run: ctx=[2,0,0,0] => retval=21 ctx=[0x2,0x0,0x14,0x22]
; run: ctx=[2,0,0,0] => retval=20 ctx=[0x2,0x0,0x13,0x22]
; run: ctx=[3,0,0,0] => retval=34 ctx=[0x3,0x0,0x13,0x21]
; run: ctx=[2,0,0,0] => retval=19 ctx=[0x2,0x0,0x11,0x21]
; run: ctx=[2,0,0,0] => retval=17 ctx=[0x2,0x0,0x10,0x21]
; run: ctx=[2,0,0,0] => retval=16 ctx=[0x2,0x0,0x9,0x21]
; run: ctx=[2,0,0,0] => retval=9 ctx=[0x2,0x0,0x6,0x21]
; run: ctx=[2,0,0,0] => retval=6 ctx=[0x2,0x0,0x5,0x21]
; run: ctx=[3,0,0,0] => retval=33 ctx=[0x3,0x0,0x5,0x1f]
; run: ctx=[2,0,0,0] => retval=5 ctx=[0x2,0x0,0x4,0x1f]
; run: ctx=[2,0,0,0] => retval=4 ctx=[0x2,0x0,0x2,0x1f]
; run: ctx=[2,0,0,0] => retval=2 ctx=[0x2,0x0,0x3,0x1f]
; run: ctx=[2,0,0,0] => retval=3 ctx=[0x2,0x0,0x12,0x1f]
; run: ctx=[2,0,0,0] => retval=18 ctx=[0x2,0x0,0x19,0x1f]
; run: ctx=[3,0,0,0] => retval=31 ctx=[0x3,0x0,0x19,0x1e]
; run: ctx=[2,0,0,0] => retval=25 ctx=[0x2,0x0,0x1a,0x1e]
; run: ctx=[3,0,0,0] => retval=30 ctx=[0x3,0x0,0x1a,0x1b]
; run: ctx=[2,0,0,0] => retval=26 ctx=[0x2,0x0,0x1b,0x1b]
.map lists type=array key=4 value=56 max_entries=1 fields=lists
.section syscall
main:
    r6 = r1
    r7 = *(u64 *)(r6 + 0)
    *(u32 *)(r10 - 4) = 0
    r1 = map[lists] ll
    r2 = r10
    r2 += -4
    call bpf_map_lookup_elem
    if r0 == 0 goto none
    r8 = r0
    if r7 > 1 goto take
    r1 = type item
    r2 = 0
    call bpf_obj_new_impl
    if r0 == 0 goto none
    r9 = r0
    r1 = *(u64 *)(r6 + 8)
    *(u64 *)(r9 + 0) = r1
    r1 = r8
    call bpf_spin_lock
    r1 = r8
    r1 += 8
    r2 = r9
    r2 += 8
    r3 = 0
    r4 = 0
    if r7 == 1 goto last
    call bpf_list_push_front_impl
    goto pushed
last:
    call bpf_list_push_back_impl
pushed:
    r1 = r8
    call bpf_spin_unlock
    r7 = 0
    goto ends
take:
    r1 = r8
    call bpf_spin_lock
    r1 = r8
    r1 += 8
    if r7 == 3 goto pop
    call bpf_list_pop_front
    goto popped
pop:
    call bpf_list_pop_back
popped:
    r9 = r0
    r1 = r8
    call bpf_spin_unlock
    r7 = 0
    if r9 == 0 goto ends
    r9 += -8
    r7 = *(u64 *)(r9 + 0)
    r1 = r9
    r2 = 0
    call bpf_obj_drop_impl
ends:
    r1 = r8
    call bpf_spin_lock
    r1 = r8
    r1 += 8
    call bpf_list_front
    if r0 == 0 goto empty
    r1 = *(u64 *)(r0 - 8)
    *(u64 *)(r6 + 16) = r1
    r1 = r8
    r1 += 8
    call bpf_list_back
    if r0 == 0 goto empty
    r1 = *(u64 *)(r0 - 8)
    *(u64 *)(r6 + 24) = r1
empty:
    r1 = r8
    call bpf_spin_unlock
    r0 = r7
    exit
none:
    r0 = 0
    exit
