; bpf_trace_vprintk refuses at run time a format that needs more arguments than there are, and gives the length of what
; it prints, the NUL not counted.
; accept
; run: ctx=[0x0] => retval=4294967274
; run: ctx=[0x1] => retval=7
.map format type=array key=4 value=16 max_entries=1 initial=612564202575
.section syscall
main:
    r6 = *(u64 *)(r1 + 0)
    *(u64 *)(r10 - 8) = 12
    *(u64 *)(r10 - 16) = 345
    r1 = map[format][0]+0 ll
    r2 = 16
    r3 = r10
    r3 += -16
    r4 = 8
    if r6 == 0 goto print
    r4 = 16
print:
    call bpf_trace_vprintk
    exit
