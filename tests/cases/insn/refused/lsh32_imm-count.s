; lsh32_imm with 32: refused.
; reject: invalid shift 32
.section socket
main:
    r0 = 0x1
    w0 <<= 0x20
    exit
