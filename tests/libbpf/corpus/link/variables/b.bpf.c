#include "../link.h"
int counter = 40;
const volatile u64 limit = 41;
u8 letters[5] = "abcd";
u16 half = 3;
u64 big __attribute__((aligned(64))) = 5;
static u32 hits;
static u64 tail = 77;
int theirs SEC(".data.mine") = 6;
u32 zero;

SEC("socket") int count(struct __sk_buff *skb)
{
	hits++;
	tail += half + big;
	zero += hits;
	return counter + theirs + tail + zero;
}
char LICENSE[] SEC("license") = "GPL";
