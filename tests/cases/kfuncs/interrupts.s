; The state of interrupts, kept and given back, twice.
; accept
; run: data=zeros:16 => retval=3
.section tc
main:
    r1 = r10
    r1 += -8
    call bpf_local_irq_save
    r1 = r10
    r1 += -16
    call bpf_local_irq_save
    r1 = r10
    r1 += -16
    call bpf_local_irq_restore
    r1 = r10
    r1 += -8
    call bpf_local_irq_restore
    r0 = 3
    exit
