#include "../link.h"
// Tags on functions, parameters and fields, which refer to types by number.
#define __tag(x) __attribute__((btf_decl_tag(x)))
struct __tag("shape") point {
	int x __tag("across"), y;
};
__noinline int measure(struct point *p __tag("arg:nonnull"), int scale) { return p->x * scale; }
SEC("socket") int prog(struct __sk_buff *skb)
{
	struct point p = { skb->len, 2 };
	return measure(&p, 3);
}
char _license[] SEC("license") = "GPL";
