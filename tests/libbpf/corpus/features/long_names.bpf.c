/* Names that the kernel cuts, of maps, sections and functions. */
#include "../features.h"

struct {
	number(type, ARRAY);
	number(max_entries, 1);
	number(key_size, 4);
	number(value_size, 1);
} a_map_whose_name_is_much_longer_than_fifteen_bytes SEC(".maps");

int a_variable_with_a_name_that_is_longer_than_fifteen_bytes SEC(".data.of_a_long_section_name") = 1;

SEC("socket") int a_function_whose_name_is_longer_than_fifteen_bytes(void *ctx)
{
	u32 key = 0;

	return map_lookup(&a_map_whose_name_is_much_longer_than_fifteen_bytes, &key) ? 1 :
	       a_variable_with_a_name_that_is_longer_than_fifteen_bytes++;
}
