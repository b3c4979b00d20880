/* Variables in an arena that there is not, which libbpf does not look at where there are no maps. */
#include "../maps.h"

__u64 __attribute__((address_space(1))) counter = 40;
