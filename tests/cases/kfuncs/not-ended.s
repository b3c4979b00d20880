; A section that nothing disturbs, begun and not ended.
; reject: BPF_EXIT instruction in main prog cannot be used inside bpf_rcu_read_lock-ed region
.section tc
main:
    call bpf_rcu_read_lock
    r0 = 0
    exit
