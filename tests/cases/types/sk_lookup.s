; A socket lookup knows who talks to whom; ports below 1024 are refused here.
; accept
; run: ctx=[0,0x600000002,0x100007f,0,0x50c0,0x100007f,0,0x5000000000,0] => retval=0
; run: ctx=[0,0x600000002,0x100007f,0,0x50c0,0x100007f,0,0x40000000000,0] => retval=1
; run: ctx=[0,0x60000000a,0x100007f,0,0x50c0,0x100007f,0,0x40000000000,0] => retval=0
; run: ctx=[0,0x600000003,0x100007f,0,0x50c0,0x100007f,0,0x40000000000,0] => fault
.section sk_lookup
main:
    r2 = *(u32 *)(r1 + 60)
    r0 = 1
    if r2 > 1023 goto family
    r0 = 0
    exit
family:
    r2 = *(u16 *)(r1 + 8)
    if r2 == 2 goto out
    r0 = 0
out:
    exit
