; A reserved record must be submitted or discarded on every path.
; reject: Unreleased reference
.map events type=ringbuf max_entries=4096
.section syscall
main:
    r1 = map[events] ll
    r2 = 8
    r3 = 0
    call bpf_ringbuf_reserve
    r0 = 0
    exit
