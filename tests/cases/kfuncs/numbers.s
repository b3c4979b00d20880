; The numbers of an iterator: their sum, how many there are, and what it gives when it begins.
; accept
; run: data=fdffffff090000000000000000000000 => retval=786462
; run: data=00000080fbffff7f00000000000000 => retval=4294967289
; run: data=05000000050000000000000000000000 => retval=0
; run: data=05000000040000000000000000000000 => retval=4294967274
; run: data=00000000010080000000000000000000 => retval=4294967289
; run: data=fcffff7fffffff7f0000000000000000 => retval=2147680247
; run: data=00000080020000800000000000000000 => retval=131073
.section tc
main:
    r9 = *(u32 *)(r1 + 80)
    r8 = *(u32 *)(r1 + 76)
    r0 = -1
    r1 = r8
    r1 += 8
    if r1 > r9 goto out
    r6 = 0
    r7 = 0
    r2 = *(s32 *)(r8 + 0)
    r3 = *(s32 *)(r8 + 4)
    r1 = r10
    r1 += -8
    call bpf_iter_num_new
    r0 <<= 32
    r0 s>>= 32
    r6 += r0
loop:
    r1 = r10
    r1 += -8
    call bpf_iter_num_next
    if r0 == 0 goto done
    r1 = *(s32 *)(r0 + 0)
    r6 += r1
    r7 += 1
    if r7 > 100 goto done
    goto loop
done:
    r1 = r10
    r1 += -8
    call bpf_iter_num_destroy
    r7 <<= 16
    r6 += r7
    r0 = r6
out:
    exit
