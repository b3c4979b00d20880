; smod32_imm with 0: refused.
; reject: div by zero
.section socket
main:
    r0 = 0x1
    w0 s%= 0x0
    exit
