; A section that nothing disturbs, begun and ended.
; accept
; run: data=zeros:16 => retval=7
.section tc
main:
    call bpf_preempt_disable
    r6 = 7
    call bpf_preempt_enable
    r0 = r6
    exit
