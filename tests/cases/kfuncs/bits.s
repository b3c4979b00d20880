; The bits that are set: of one word, and of three. The packet holds the words.
; accept
; run: data=zeros:14+000000000000000000000000000000000000000000000000 => retval=0
; run: data=zeros:14+010000000000008000000000000000000000000000000000 => retval=91390
; run: data=zeros:14+010000000000008000000100000000000000000000000080 => retval=87828493
; run: data=zeros:14+000000000000000000000000000000000100000000000000 => retval=129
; run: data=zeros:14+00ff00000000000000000000000000f0000000000000000f => retval=1740303802
.section tc
main:
    r1 = r1
    r2 = 14
    r3 = r10
    r3 += -24
    r4 = 24
    call bpf_skb_load_bytes
    r6 = 0
    r7 = 1
words:
    r1 = r10
    r1 += -40
    r2 = r10
    r2 += -24
    r3 = r7
    call bpf_iter_bits_new
    w0 = w0
    r6 += r0
loop:
    r1 = r10
    r1 += -40
    call bpf_iter_bits_next
    if r0 == 0 goto done
    r1 = *(u32 *)(r0 + 0)
    r1 += 1
    r6 *= 31
    r6 += r1
    goto loop
done:
    r1 = r10
    r1 += -40
    call bpf_iter_bits_destroy
    r7 += 2
    if r7 < 4 goto words
    r0 = r6
    r6 >>= 32
    r0 ^= r6
    exit
