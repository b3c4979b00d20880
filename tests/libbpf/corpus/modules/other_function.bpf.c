/* A module's function of another type. */
#include "../features.h"

struct engine { int speed; };
extern int wheel_differs(struct engine *e) ksym;

SEC("syscall") int m_turn(void *ctx) { struct engine e = {}; return wheel_differs(&e); }
