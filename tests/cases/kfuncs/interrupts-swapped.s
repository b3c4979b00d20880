; States of interrupts given back in the wrong order.
; reject: cannot restore irq state out of order
.section tc
main:
    r1 = r10
    r1 += -8
    call bpf_local_irq_save
    r1 = r10
    r1 += -16
    call bpf_local_irq_save
    r1 = r10
    r1 += -8
    call bpf_local_irq_restore
    r1 = r10
    r1 += -16
    call bpf_local_irq_restore
    r0 = 3
    exit
