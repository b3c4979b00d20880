#include "../link.h"
int shared = 3;
__noinline int level(int x) { return x * 3; }
u32 _version SEC("version") = 0x60000;
char _license[] SEC("license") = "GPL";
