; lddw_map_fd closed: Loads a map by file descriptor.
; reject: fd 2147483647 is not pointing to valid bpf_map
; run: ctx=zeros:64
.section syscall
main:
    r6 = r1
    r7 = *(u64 *)(r6 + 0x0)
    r8 = *(u64 *)(r6 + 0x8)
    ld_pseudo r7, 0x1, 0x7fffffff
    *(u64 *)(r6 + 0x18) = r7
    r0 = 0x0
    exit
