/* A call of a function that is nowhere. */
#include "../core.h"

extern int elsewhere(int x);
SEC("xdp") int use(void *ctx) { return elsewhere(1); }
