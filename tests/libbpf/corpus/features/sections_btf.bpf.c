/* Sections of programs that name a function of the kernel. */
#include "../core.h"

#define program(section, name) SEC(section) int name(void *ctx) { return 0; }

program("tp_btf/sched_switch", p01)
program("fentry/do_nanosleep", p02)
program("fexit/do_nanosleep", p03)
program("fmod_ret/security_file_open", p04)
program("fentry.s/security_file_open", p05)
program("fexit.s/security_file_open", p06)
program("fmod_ret.s/security_file_open", p07)
program("lsm/file_open", p08)
program("lsm.s/file_open", p09)
program("lsm_cgroup/socket_create", p10)
program("iter/task", p11)
program("iter.s/task", p12)
program("?tp_btf", p13)
program("?fentry", p14)
program("?fexit/no_such_function_at_all", p15)
program("?lsm", p16)
program("?iter", p17)
program("freplace/entry", p18)
program("?freplace", p19)
program("syscall", p20)
program("?fsession/do_nanosleep", p21)
program("?fsession.s/do_nanosleep", p22)
