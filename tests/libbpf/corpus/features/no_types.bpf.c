/* Without debug information: variables and programs, no maps of our own. no -g */
#include "../features.h"

int counter = 1;
u64 zero;
const volatile int fixed = 2;
static noinline int add(int x) { return x + counter; }

SEC("xdp") long all(void *ctx) { return add(fixed) + zero++ + counter++; }
