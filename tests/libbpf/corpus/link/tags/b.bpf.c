#include "../link.h"
#define __tag(x) __attribute__((btf_decl_tag(x)))
struct __tag("shape") point {
	int x __tag("across"), y;
};
int measure(struct point *p __tag("arg:nonnull"), int scale);
int kept __tag("variable");
SEC("socket") int more(struct __sk_buff *skb)
{
	struct point p = { 1, 2 };
	return measure(&p, 9) + kept;
}
char _license[] SEC("license") = "GPL";
