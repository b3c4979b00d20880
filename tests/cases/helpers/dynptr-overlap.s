; A dynptr's memory read into itself and written from itself, one byte on and one byte back: as memmove does.
; accept
; run: ctx=[0] => retval=0
.map data type=array key=4 value=16 max_entries=1
; map data: 00000000=[0x807060706050403,0x80000]
.section syscall
main:
    r1 = 0x0807060504030201 ll
    r6 = map[data][0]+0 ll
    *(u64 *)(r6 + 0) = r1
    r1 = r6
    r2 = 16
    r3 = 0
    r4 = r10
    r4 += -16
    call bpf_dynptr_from_mem
    r1 = r6
    r1 += 1
    r2 = 8
    r3 = r10
    r3 += -16
    r4 = 0
    r5 = 0
    call bpf_dynptr_read
    r1 = r10
    r1 += -16
    r2 = 0
    r3 = r6
    r3 += 3
    r4 = 8
    r5 = 0
    call bpf_dynptr_write
    r1 = r10
    r1 += -16
    r2 = 5
    r3 = r6
    r3 += 3
    r4 = 8
    r5 = 0
    call bpf_dynptr_write
    r0 = 0
    exit
