/* What the kernel was built with, and which it is. */
#include "../features.h"

#define kconfig __attribute__((section(".kconfig")))
enum tristate { TRI_NO, TRI_YES, TRI_MODULE };
typedef _Bool bool;

extern int LINUX_KERNEL_VERSION kconfig;
extern bool LINUX_HAS_BPF_COOKIE kconfig weak;
extern bool LINUX_HAS_SYSCALL_WRAPPER kconfig weak;
extern enum tristate CONFIG_BPF_SYSCALL kconfig;
extern u32 CONFIG_HZ kconfig weak;
extern char CONFIG_DEFAULT_HOSTNAME[8] kconfig weak;
extern u64 CONFIG_NOBODY_HAS_THIS kconfig weak;

SEC("kprobe/do_nanosleep") long all(void *ctx)
{
	return LINUX_KERNEL_VERSION + LINUX_HAS_BPF_COOKIE + LINUX_HAS_SYSCALL_WRAPPER + CONFIG_BPF_SYSCALL + CONFIG_HZ +
	       CONFIG_DEFAULT_HOSTNAME[1] + CONFIG_NOBODY_HAS_THIS;
}
