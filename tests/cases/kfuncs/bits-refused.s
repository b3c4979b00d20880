; Words that an iterator over bits does not take: none, too many, at NULL.
; accept
; run: data=zeros:14 => retval=4293523690
.section tc
main:
    r6 = 0
    r1 = r10
    r1 += -16
    r2 = r10
    r2 += -24
    r3 = 0
    *(u64 *)(r10 - 24) = -1
    call bpf_iter_bits_new
    w0 = w0
    r6 += r0
    r1 = r10
    r1 += -16
    call bpf_iter_bits_next
    if r0 == 0 goto one
    r6 += 1000
one:
    r1 = r10
    r1 += -16
    call bpf_iter_bits_destroy
    r1 = r10
    r1 += -16
    r2 = r10
    r2 += -24
    r3 = 512
    call bpf_iter_bits_new
    w0 = w0
    r6 <<= 8
    r6 += r0
    r1 = r10
    r1 += -16
    call bpf_iter_bits_destroy
    r1 = r10
    r1 += -16
    r2 = 0
    r3 = 1
    call bpf_iter_bits_new
    w0 = w0
    r6 <<= 8
    r6 += r0
    r1 = r10
    r1 += -16
    call bpf_iter_bits_destroy
    r0 = r6
    exit
