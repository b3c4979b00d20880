; call_kfunc: Calls a kernel function by its BTF id; off selects the BTF from fd_array.
; reject: invalid kernel function call not eliminated in verifier pass
.section syscall
main:
    r6 = r1
    r7 = *(u64 *)(r6 + 0x0)
    r8 = *(u64 *)(r6 + 0x8)
    call kernel-function#0
    r0 = 0x0
    exit
