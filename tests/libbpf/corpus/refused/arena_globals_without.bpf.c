/* Variables in an arena that is not there. cpu v3 */
#include "../features.h"

int __attribute__((address_space(1))) n = 3;
SEC("syscall") int use(void *ctx) { return n; }
