; lddw_variable void: Loads the address of a variable of the platform, by BTF id.
; reject: pseudo btf_id 0 in ldimm64 isn't KIND_VAR or KIND_FUNC
; run: ctx=zeros:64
.section syscall
main:
    r6 = r1
    r7 = *(u64 *)(r6 + 0x0)
    r8 = *(u64 *)(r6 + 0x8)
    ld_pseudo r7, 0x3, 0x0, 0x0
    *(u64 *)(r6 + 0x18) = r7
    r0 = 0x0
    exit
