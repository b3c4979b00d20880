; Memory and strings read into a dynptr: what is there, into too little, from nowhere.
; accept
; run: data=zeros:16 => retval=1608376530
.map memory type=array key=4 value=64 max_entries=1 initial=616263646566676869
.section tc
main:
    r8 = map[memory][0]+0 ll
    r1 = map[memory][0]+32 ll
    r2 = 16
    r3 = 0
    r4 = r10
    r4 += -16
    call bpf_dynptr_from_mem
    ; 4 bytes to the third.
    r1 = r10
    r1 += -16
    r2 = 2
    r3 = 4
    r4 = r8
    call bpf_probe_read_kernel_dynptr
    w6 = w0
    ; 8 bytes from the ninth on, and one too many.
    r1 = r10
    r1 += -16
    r2 = 9
    r3 = 8
    r4 = r8
    call bpf_probe_read_kernel_dynptr
    w0 = w0
    r6 <<= 8
    r6 ^= r0
    ; A string, whole.
    r1 = r10
    r1 += -16
    r2 = 6
    r3 = 10
    r4 = r8
    call bpf_probe_read_kernel_str_dynptr
    w0 = w0
    r6 <<= 8
    r6 ^= r0
    ; Its beginning.
    r1 = r10
    r1 += -16
    r2 = 0
    r3 = 2
    r4 = r8
    call bpf_probe_read_kernel_str_dynptr
    w0 = w0
    r6 <<= 8
    r6 ^= r0
    ; Nowhere.
    r1 = r10
    r1 += -16
    r2 = 12
    r3 = 4
    r4 = 0
    call bpf_probe_read_kernel_dynptr
    w0 = w0
    r6 <<= 8
    r6 ^= r0
    r1 = r10
    r1 += -16
    r2 = 15
    r3 = 1
    r4 = 0
    call bpf_probe_read_user_dynptr
    w0 = w0
    r6 <<= 8
    r6 ^= r0
    r1 = r10
    r1 += -16
    r2 = 14
    r3 = 1
    r4 = 0
    call bpf_probe_read_user_str_dynptr
    w0 = w0
    r6 <<= 4
    r6 ^= r0
    r0 = r6
    exit
