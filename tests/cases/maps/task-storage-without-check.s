; There may be no value.
; reject: R0 invalid mem access 'map_value_or_null'
.map kept type=task_storage key=4 value=8 max_entries=0 flags=BPF_F_NO_PREALLOC
.section syscall
main:
    call bpf_get_current_task_btf
    r1 = map[kept] ll
    r2 = r0
    r3 = 0
    r4 = 1
    call bpf_task_storage_get
    r0 = *(u64 *)(r0 + 0) ; error
    exit
