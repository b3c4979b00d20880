/* A program that refers to a section which means nothing. */
#include "../core.h"

int odd SEC("odd.section") = 3;
SEC("xdp") int use(void *ctx) { return odd++ & 1; }
