; A legacy load behind the packet's end leaves its function with 0, not the program.
; accept
; run: data=000102030405060708090a0b0c0d0e0f => retval=65552
; run: data=000102030405060708090a0b0c0d0e0f10111213141516171819 => retval=71440
.section socket
main:
    r6 = r1
    call third
    r7 = r0
    r1 = r6
    call ninth
    r0 <<= 8
    r0 |= r7
    r0 |= 0x10000
    exit
third:
    r6 = r1
    r0 = *(u8 *)skb[1]
    r0 += 1
    exit
ninth:
    r6 = r1
    r8 = 4
    r0 = *(u8 *)skb[r8 + 4]
    r0 += 1
    exit
