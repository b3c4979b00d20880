/* A jump from one function into another. */
#include "../core.h"

asm(".section \"xdp\", \"ax\"; .globl first; .type first, @function; first: r0 = 1; call second + 4; exit; .size first, . - first;"
    ".type second, @function; second: r0 = 2; r0 = 3; exit; .size second, . - second; .text");
