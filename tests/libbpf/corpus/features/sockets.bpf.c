/* Maps of sockets, and the programs that steer between them. */
#include "../features.h"

struct {
	number(type, SOCKMAP);
	number(max_entries, 20);
	holds(key, u32);
	holds(value, u32);
} by_index SEC(".maps");

struct {
	number(type, SOCKHASH);
	number(max_entries, 20);
	holds(key, u64);
	holds(value, u64);
} by_key SEC(".maps");

struct {
	number(type, REUSEPORT_SOCKARRAY);
	number(max_entries, 3);
	number(key_size, 4);
	number(value_size, 8);
} reuse SEC(".maps");

SEC("sk_skb/stream_parser") int parse(void *ctx) { return 1; }
SEC("sk_skb/stream_verdict") int verdict(void *ctx) { return sk_redirect(ctx, &by_index, 1, 0); }
SEC("sk_skb/verdict") int whole(void *ctx) { return 1; }
SEC("sk_skb") int plain(void *ctx) { return 1; }
SEC("sk_msg") int message(void *ctx) { u64 k = 0; return !map_delete(&by_key, &k); }
SEC("sk_reuseport/migrate") int migrate(void *ctx) { return 1; }
SEC("sockops") int ops(void *ctx) { return 1; }
