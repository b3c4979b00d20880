#include "../link.h"
// Types that are equal, only declared, or the same but for names of parameters.
struct node;
struct list {
	struct node *head;
	u32 length;
};
struct list all;
enum color { RED, GREEN = 5 };
typedef enum color paint;
extern paint favourite;
int visit(struct list *l, const char *unnamed);

SEC("socket") int prog(struct __sk_buff *skb) { return visit(&all, 0) + all.length + favourite; }
char _license[] SEC("license") = "GPL";
