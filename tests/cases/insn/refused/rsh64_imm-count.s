; rsh64_imm with 64: refused.
; reject: invalid shift 64
.section socket
main:
    r0 = 0x1
    r0 >>= 0x40
    exit
