/* A variable that is nowhere. */
#include "../core.h"

extern int elsewhere;
SEC("xdp") int use(void *ctx) { return elsewhere; }
