/* A pointer to a variable in a variable, which nobody fills in. */
#include "../core.h"

int target = 3;
int *pointer = &target;
SEC("xdp") int use(void *ctx) { return *pointer; }
