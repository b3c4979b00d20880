/* What nothing refers to: maps, data, functions, sections that mean nothing. */
#include "../features.h"

struct {
	number(type, ARRAY);
	number(max_entries, 1);
	number(key_size, 4);
	number(value_size, 8);
} never SEC(".maps");

int note SEC("notes") = 5;
const char text[] SEC("my.strings") = "text";
noinline int library(int x) { return x + 1; }
static __attribute__((used)) int leftover(int x) { return x - 1; }

SEC("socket") int entry(void *ctx) { return 0; }
