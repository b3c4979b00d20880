; A dynptr to nothing: flags that no packet has.
; accept
; run: data=zeros:30 => retval=5582
.section tc
main:
    r2 = 1
    r3 = r10
    r3 += -16
    call bpf_dynptr_from_skb
    w6 = w0
    r1 = r10
    r1 += -16
    call bpf_dynptr_is_null
    r0 &= 255
    r6 <<= 4
    r6 |= r0
    r1 = r10
    r1 += -16
    call bpf_dynptr_is_rdonly
    r0 &= 255
    r6 <<= 4
    r6 |= r0
    r1 = r10
    r1 += -16
    call bpf_dynptr_size
    w0 = w0
    r6 ^= r0
    r1 = r10
    r1 += -16
    r2 = r10
    r2 += -32
    call bpf_dynptr_clone
    w0 = w0
    r6 += r0
    r1 = r10
    r1 += -32
    r2 = 0
    r3 = 0
    call bpf_dynptr_adjust
    w0 = w0
    r6 += r0
    r1 = r10
    r1 += -16
    r2 = 0
    r3 = 0
    r4 = 4
    call bpf_dynptr_slice
    if r0 == 0 goto null
    r6 += 1
null:
    r0 = r6
    exit
