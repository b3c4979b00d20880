/* A module's variable of another type: never what was meant, weak or not. */
#include "../features.h"

struct wheel { int turns; };
extern const struct wheel engine_count ksym weak;

SEC("syscall") int m_turn(void *ctx) { return &engine_count ? engine_count.turns : 0; }
