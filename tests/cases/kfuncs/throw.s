; An exception leaves the program with what it was given, from within two functions.
; accept
; run: data=zeros:14 => retval=115
; run: data=zeros:15 => retval=77
.section tc
main:
    r6 = r1
    r1 = *(u32 *)(r1 + 0)
    call deep
    r0 += 1
    exit
deep:
    call deeper
    r0 += 100
    exit
deeper:
    r0 = r1
    if r1 != 15 goto out
    r1 = 77
    call bpf_throw
out:
    exit
