; bpf_get_stackid: unknown flags, more skipped than there is, no user stack deep enough, and a chain that has a number:
; the same one when it is asked for twice from the same place.
; accept
; run: ctx=[0x800,0] => retval=4294967274
; run: ctx=[0xff,0] => retval=4294967282
; run: ctx=[0,0] => retval=1
; run: ctx=[0x200,0] => retval=1
.map stacks type=stack_trace key=4 value=64 max_entries=16384
.section raw_tracepoint
main:
    r6 = r1
    r7 = *(u64 *)(r6 + 0)
    r8 = -1
again:
    r1 = r6
    r2 = map[stacks] ll
    r3 = r7
    call bpf_get_stackid
    if r0 s< 0 goto out
    if r8 s>= 0 goto same
    r8 = r0
    goto again
same:
    if r0 != r8 goto bad
    r0 = 1
    exit
bad:
    r0 = 2
out:
    exit
