; Strings that are nowhere: at NULL, at an address of the user's, and where the kernel has no memory.
; accept
; run: data=zeros:14 => retval=4292747742
.section tc
main:
    r1 = 0
    call bpf_strlen
    w6 = w0
    r1 = 0x1000
    r2 = r10
    r2 += -8
    *(u64 *)(r10 - 8) = 0
    call bpf_strcmp
    w0 = w0
    r6 <<= 8
    r6 ^= r0
    r1 = r10
    r1 += -8
    r2 = 0
    call bpf_strstr
    w0 = w0
    r6 <<= 8
    r6 ^= r0
    r0 = r6
    exit
