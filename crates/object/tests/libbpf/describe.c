/* What libbpf makes of objects: maps as they are defined, programs as they are linked, one a line. Its output for
 * the examples is committed as libbpf-1.7.txt; to make it again (as root, with libbpf 1.7):
 *
 *     cc -o describe describe.c -lbpf -lelf -lz
 *     for f in examples/<each>/<each>.bpf.o; do ./describe $f; done > libbpf-1.7.txt
 *
 * Instructions are hashed (FNV-1a, 64 bits, over the 8 bytes of each); descriptors of maps count as 0.
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include <stdio.h>
#include <bpf/libbpf.h>
#include <bpf/bpf.h>

static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level, (void)format, (void)args;
	return 0;
}

int main(int argc, char **argv)
{
	struct bpf_object *o = argc == 2 ? bpf_object__open_file(argv[1], NULL) : NULL;
	struct bpf_program *p;
	struct bpf_map *m;

	libbpf_set_print(quiet);
	if (!o)
		return 1;
	printf("object %s\n", bpf_object__name(o));
	bpf_object__for_each_map(m, o) {
		printf("map %s type %u key %u value %u entries %u flags %#x numa %u extra %llu types %u %u pin %d\n",
		       bpf_map__name(m), bpf_map__type(m), bpf_map__key_size(m), bpf_map__value_size(m),
		       bpf_map__max_entries(m), bpf_map__map_flags(m), bpf_map__numa_node(m),
		       (unsigned long long)bpf_map__map_extra(m), bpf_map__btf_key_type_id(m),
		       bpf_map__btf_value_type_id(m), bpf_map__pin_path(m) != NULL);
	}
	if (bpf_object__load(o))
		return 1;
	bpf_object__for_each_program(p, o) {
		const struct bpf_insn *insns = bpf_program__insns(p);
		size_t count = bpf_program__insn_cnt(p);
		unsigned long long hash = 0xcbf29ce484222325;

		for (size_t i = 0; i < count; i++) {
			struct bpf_insn insn = insns[i];

			if (insn.code == 0x18 && (insn.src_reg == 1 || insn.src_reg == 2))
				insn.imm = 0;
			for (size_t b = 0; b < sizeof(insn); b++)
				hash = (hash ^ ((unsigned char *)&insn)[b]) * 0x100000001b3;
		}
		printf("program %s section %s type %d attach %d autoload %d insns %zu %016llx\n", bpf_program__name(p),
		       bpf_program__section_name(p), bpf_program__type(p), bpf_program__expected_attach_type(p),
		       bpf_program__autoload(p), count, hash);
	}
	bpf_object__close(o);
	return 0;
}
