/* What the fourth instruction set adds: signed division, loads and moves, byte swaps. cpu v4 */
#include "../features.h"

s64 dividend = -7, divisor = 2;
s8 byte = -1;
s16 half = -2;
s32 word = -3;

SEC("socket") long all(void *ctx)
{
	s64 sum = dividend / divisor + dividend % divisor + word / 2 + word % 5;

	sum += byte + half + word;
	sum += (s8)sum + (s16)(sum >> 3) + (s32)(sum >> 5);
	sum += __builtin_bswap16(sum) + __builtin_bswap32(sum) + __builtin_bswap64(sum);
	return sum;
}
