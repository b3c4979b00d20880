/* A licence that is not the GPL's, and a version. */
#define section(name) __attribute__((section(name), used))

char _license[] section("license") = "Proprietary";
unsigned built_for section("version") = 0x060c00;
section("tc") int pass(void *ctx) { return 0; }
