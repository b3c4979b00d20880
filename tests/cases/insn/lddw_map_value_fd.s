; lddw_map_value_fd closed: Loads an address inside a map's first value.
; reject: fd 2147483647 is not pointing to valid bpf_map
; run: ctx=zeros:64
.section syscall
main:
    r6 = r1
    r7 = *(u64 *)(r6 + 0x0)
    r8 = *(u64 *)(r6 + 0x8)
    ld_pseudo r7, 0x2, 0x7fffffff, 0x0
    *(u64 *)(r6 + 0x18) = r7
    r0 = 0x0
    exit
