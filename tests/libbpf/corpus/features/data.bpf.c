/* Variables: initialised, constant, zero, and in sections of their own. */
#include "../features.h"

struct config { u64 limit; char name[10]; u8 on : 1, level : 3; };

int counter = 42;
u64 zeroed[3];
const volatile u32 ifindex = 7;
const volatile struct config config = { .limit = 1ULL << 40, .name = "x", .level = 5 };
struct config state SEC(".data.state") = { .limit = 3 };
u16 last_words SEC(".bss.more");
const volatile char greeting[] SEC(".rodata.texts") = "hello";
double ratio = 1.5;
float third = 0.25f;
enum mode { OFF, ON = 5 } mode = ON;
enum huge { HUGE = 1ULL << 60 } huge = HUGE;

SEC("tc/ingress") long sum(void *ctx)
{
	zeroed[1] += counter++;
	last_words = mode + (huge == HUGE);
	state.limit = config.limit;
	return ifindex + greeting[1] + config.level + zeroed[2] + (long)&ratio + (long)&third;
}
