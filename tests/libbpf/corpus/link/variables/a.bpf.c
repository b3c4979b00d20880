#include "../link.h"
// Data of every kind, with gaps for alignment, and variables of the other file.
extern int counter;
extern const volatile u64 limit;
extern u8 letters[5];

u8 one = 1;
u64 zeros[3];
const volatile u8 small = 7;
static u32 hits;
static u8 tail = 9;
int mine SEC(".data.mine") = 4;

SEC("socket") int prog(struct __sk_buff *skb)
{
	hits += skb->len;
	tail += one;
	counter += 1;
	if (counter > limit)
		return letters[2] + small;
	zeros[1] += hits;
	return mine + tail;
}
char _license[] SEC("license") = "GPL";
