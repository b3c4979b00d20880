/* Values of every type, in an order that is not that of the map. */
#include "../core.h"

enum libbpf_tristate { TRI_NO = 0, TRI_YES = 1, TRI_MODULE = 2 };
#define kconfig __attribute__((section(".kconfig")))

extern char CONFIG_TEXT[12] kconfig;
extern u8 CONFIG_SMALL kconfig;
extern u64 CONFIG_WIDE kconfig;
extern _Bool CONFIG_YES kconfig;
extern _Bool CONFIG_NO kconfig;
extern enum libbpf_tristate CONFIG_MODULE kconfig;
extern char CONFIG_LETTER kconfig;
extern int CONFIG_NEGATIVE kconfig;
extern const volatile u16 CONFIG_HEX kconfig;
extern int CONFIG_ABSENT kconfig __attribute__((weak));
extern u32 LINUX_KERNEL_VERSION kconfig;
extern int LINUX_NOT_KNOWN kconfig __attribute__((weak));
extern char CONFIG_CUT[5] kconfig;
extern int CONFIG_OCTAL kconfig;
extern int CONFIG_HZ kconfig;

SEC("socket") long values(void *ctx)
{
	return CONFIG_SMALL + CONFIG_WIDE + CONFIG_YES + CONFIG_NO + CONFIG_MODULE + CONFIG_LETTER + CONFIG_NEGATIVE +
	       CONFIG_HEX + CONFIG_ABSENT + LINUX_KERNEL_VERSION + LINUX_NOT_KNOWN + CONFIG_OCTAL + CONFIG_HZ;
}
SEC("socket") long texts(void *ctx) { return CONFIG_TEXT[2] + CONFIG_CUT[1]; }
