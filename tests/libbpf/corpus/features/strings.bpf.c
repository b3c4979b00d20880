/* String literals, which clang puts into sections that merge. */
#include "../features.h"

SEC("raw_tp/sys_enter") int hello(void *ctx)
{
	char buffer[8] = "stacked";

	printk("hello %d\n", 10, 1);
	printk("a text that is longer than the other one\n", 42);
	printk(buffer, sizeof(buffer));
	return 0;
}
static const char table[3][8] = { "one", "two", "three" };
SEC("raw_tp.w/nbd_send_request") int pick(u64 *ctx)
{
	u64 i = ctx[0];

	return i < 3 ? table[i][1] : 0;
}
