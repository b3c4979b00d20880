/* A section that is code, with a static function only. */
#include "../core.h"

SEC("xdp") static int lonely(void *ctx) { return 2; }
