/* Neither licence nor version. */
__attribute__((section("xdp"), used)) int pass(void *ctx) { return 2; }
