; A section that nothing disturbs, begun and ended.
; accept
; run: data=zeros:16 => retval=7
.section tc
main:
    call bpf_rcu_read_lock
    r6 = 7
    call bpf_rcu_read_unlock
    r0 = r6
    exit
