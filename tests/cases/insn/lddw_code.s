; lddw_code without BTF: Loads the address of a subprogram.
; reject: missing btf func_info
; run: ctx=zeros:64
.section syscall
main:
    r6 = r1
    r7 = *(u64 *)(r6 + 0x0)
    r8 = *(u64 *)(r6 + 0x8)
    ld_pseudo r7, 0x4, 0x4
    *(u64 *)(r6 + 0x18) = r7
    r0 = 0x0
    exit
    r0 = 0x0
    exit
