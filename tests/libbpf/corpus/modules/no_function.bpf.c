/* A function that nobody has. */
#include "../features.h"

extern int wheel_missing(int by) ksym;

SEC("syscall") int m_turn(void *ctx) { return wheel_missing(1); }
