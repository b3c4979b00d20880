#include "../link.h"
struct node {
	struct node *next, *prev;
	union {
		u64 number;
		u8 bytes[8];
	};
	u32 low : 3, high : 29;
};
struct list {
	struct node *head;
	u32 length;
};
enum color { RED, GREEN = 5 };
enum color favourite = GREEN;
struct node first;
extern struct list all;
__noinline int visit(struct list *list, const char *name) { return list ? list->length : 0; }

SEC("socket") int more(struct __sk_buff *skb) { return all.length + first.low + (first.next != 0); }
char _license[] SEC("license") = "GPL";
