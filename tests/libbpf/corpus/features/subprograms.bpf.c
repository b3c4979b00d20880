/* Functions in `.text` that programs of several types share, many deep and crossing. */
#include "../features.h"

static noinline u64 leaf(u64 x) { return x * ktime(); }
static noinline u64 left(u64 x) { return leaf(x) + 1; }
static noinline u64 right(u64 x) { return left(x) ^ leaf(x + 1); }
static noinline u64 deep1(u64 x) { return right(x) + leaf(x); }
static noinline u64 deep2(u64 x) { return deep1(x) - left(x); }
static noinline u64 deep3(u64 x) { return deep2(x) * 3 + deep1(2); }
static noinline u64 deep4(u64 x) { return deep3(x) + deep2(4); }
static noinline u64 alone(u64 x) { return x / (ktime() | 1); }

SEC("tc") long one(void *ctx) { return deep4(1); }
SEC("xdp") long two(void *ctx) { return right(2) & 1; }
SEC("socket") long three(void *ctx) { return alone(leaf(3)) + deep3(1); }
SEC("socket") long four(void *ctx) { return alone(4) + leaf(4); }
