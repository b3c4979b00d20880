; A control group may return 2 and 3 for packets that leave, not for those that come in.
; reject: At program exit the register R0 has smin=2 smax=2 should have been in [0, 1]
.section cgroup_skb/ingress
main:
    r0 = 2
    exit ; error
