/* Programs that are not loaded unless somebody says so, beside one that is. */
#include "../features.h"

int shared = 1;
static noinline int helper(int x) { return x + shared; }

SEC("?xdp") int off(void *ctx) { return helper(1) & 1; }
SEC("xdp") int on(void *ctx) { return helper(2) & 1; }
SEC("?tc") int also_off(void *ctx) { return helper(3); }
SEC("?cgroup_skb/egress") int calls_none(void *ctx) { return 1; }
