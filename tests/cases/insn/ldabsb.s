; ldabsb imm 0x0 index 0x0: Loads from the packet at a constant offset.
; accept
; run: data=5a7f1035cee38459721728cde6bb => retval=0
; run: data=5a7f1035cee38459721728cde6bb5c => retval=92
; run: data=[0x5984e3ce35107f5a,0x715cbbe6cd281772,0x97453bee5c02f0a,0x210c6b56bd98c722,0xf924036e55b09ffa,0x91fcdb066d48b792,0xa994f3de05604faa,0x41ac8bf6dd386742] => retval=92
.section socket
main:
    r6 = r1
    r8 = 0x0
    r0 = *(u8 *)skb[0x0]
    exit
