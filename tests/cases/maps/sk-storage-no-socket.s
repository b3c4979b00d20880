; A packet of a test run has no socket: nothing is kept.
; targets: interpreter
; accept
; run: data=00000000000000000000000000000000 => retval=4294967291
.map kept type=sk_storage key=4 value=8 max_entries=0 flags=BPF_F_NO_PREALLOC
.section tc
main:
    r2 = *(u64 *)(r1 + 168)
    r0 = -5
    if r2 == 0 goto out
    r1 = map[kept] ll
    r3 = 0
    r4 = 1
    call bpf_sk_storage_get
    r1 = r0
    r0 = 0
    if r1 == 0 goto out
    r0 = 1
out:
    exit
