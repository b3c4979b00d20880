/* An exception callback that there is not. */
#include "../features.h"

tag("exception_callback:missing") SEC("tc") int throws(u32 *ctx) { return 0; }
