//! A consumer in C, written to what Linux documents of mapped arrays and ring buffers, reads the payloads of ours.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use skep_abi::{MapFlags, MapType, ProgramType};
use skep_isa::text::assemble;
use skep_spec::{Backend, BackendMap, LoadOptions, MapDef, ProgramSpec};
use skep_user::{UserBackend, UserOptions};

/// An array is values at a stride of 8 bytes' multiples; a ring buffer a page with the consumer's position, to be mapped for
/// writing, then one with the producers' and the data twice, to be read (Linux, Documentation/bpf/ringbuf.rst and
/// include/uapi/linux/bpf.h: busy bit 31, discard bit 30, header of 8 bytes).
const CONSUMER: &str = r#"
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int array(int fd, unsigned entries, unsigned value_size)
{
	size_t stride = (value_size + 7) / 8 * 8, page = sysconf(_SC_PAGESIZE);
	size_t len = (stride * entries + page - 1) / page * page;
	unsigned char *at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (at == MAP_FAILED)
		return 1;
	for (unsigned i = 0; i < entries; i++) {
		for (unsigned b = 0; b < value_size; b++)
			printf("%02x", at[i * stride + b]);
		printf("\n");
		at[i * stride] += 1;
	}
	return 0;
}

static int ring(int fd, unsigned long size, int mask_again)
{
	size_t page = sysconf(_SC_PAGESIZE);
	unsigned long *consumer = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	unsigned char *rest = mmap(NULL, page + 2 * size, PROT_READ, MAP_SHARED, fd, page);

	if (consumer == MAP_FAILED || rest == MAP_FAILED)
		return 1;
	unsigned long *producer = (unsigned long *)rest;
	unsigned char *data = rest + page;
	unsigned long pos = __atomic_load_n(consumer, __ATOMIC_ACQUIRE);

	while (pos < __atomic_load_n(producer, __ATOMIC_ACQUIRE)) {
		unsigned int *header = (unsigned int *)(data + (pos & (size - 1)));
		unsigned int len = __atomic_load_n(header, __ATOMIC_ACQUIRE);

		if (len & (1u << 31))
			break;
		unsigned int bytes = len & ~(3u << 30);

		if (!(len & (1u << 30))) {
			unsigned long sum = 0;

			for (unsigned i = 0; i < bytes; i++) {
				unsigned long at = (pos & (size - 1)) + 8 + i;

				sum = sum * 31 + data[mask_again ? at & (size - 1) : at];
			}
			printf("%u %lu\n", bytes, sum);
		} else {
			printf("%u discarded\n", bytes);
		}
		pos += (bytes + 8 + 7) / 8 * 8;
		__atomic_store_n(consumer, pos, __ATOMIC_RELEASE);
	}
	return 0;
}

int main(int argc, char **argv)
{
	int fd = argc > 4 ? open(argv[2], O_RDWR) : -1;

	if (fd < 0)
		return 2;
	if (!strcmp(argv[1], "array"))
		return array(fd, atoi(argv[3]), atoi(argv[4]));
	return ring(fd, atol(argv[3]), atoi(argv[4]));
}
"#;

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The folder with the consumer in it, unless there is no C compiler.
fn consumer(name: &str) -> Option<Folder> {
    let folder = Folder(std::env::temp_dir().join(format!("skep-layout-{name}-{}", std::process::id())));
    let _ = fs::remove_dir_all(&folder.0);
    fs::create_dir_all(folder.0.join("pins")).expect("a folder");
    fs::write(folder.0.join("consumer.c"), CONSUMER).expect("a file");
    let cc = std::env::var("CC").unwrap_or_else(|_| "cc".into());
    let built = Command::new(&cc)
        .args(["-O2", "-Wall", "-Werror", "-o", "consumer", "consumer.c"])
        .current_dir(&folder.0)
        .output();
    match built {
        Ok(output) if output.status.success() => Some(folder),
        Ok(output) => panic!("{}", String::from_utf8_lossy(&output.stderr)),
        Err(e) => {
            println!("skipped: no C compiler ({cc}): {e}");
            None
        }
    }
}

impl Folder {
    fn backend(&self) -> UserBackend {
        UserBackend::in_folder(self.0.join("pins"), UserOptions::default()).expect("a folder of pins")
    }

    fn pin(&self, backend: &UserBackend, def: &MapDef) -> Arc<dyn BackendMap> {
        let map = backend.create_map(def).expect("legal");
        backend.pin_map(&*map, self.0.join("pins/map").to_str().expect("text")).expect("a name");
        map
    }

    /// What the consumer says of the payload.
    fn consume(&self, kind: &str, a: u32, b: u32) -> Vec<String> {
        let output = Command::new(self.0.join("consumer"))
            .arg(kind)
            .arg(self.0.join("pins/map.payload"))
            .args([a.to_string(), b.to_string()])
            .output()
            .expect("it starts");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text").lines().map(str::to_owned).collect()
    }
}

#[test]
fn an_array_is_mapped_as_the_kernels() {
    let Some(folder) = consumer("array") else { return };
    let backend = folder.backend();
    let def = MapDef { flags: MapFlags(MapFlags::MMAPABLE), ..MapDef::new(MapType::ARRAY, 4, 12, 700) };
    let map = folder.pin(&backend, &def);
    let value = |n: u32| -> Vec<u8> { (0..12).map(|b| (n * 7 + b) as u8).collect() };
    for n in 0..700u32 {
        map.update(&n.to_ne_bytes(), &value(n), 0).expect("an array");
    }
    let lines = folder.consume("array", 700, 12);
    for (n, line) in (0..700u32).zip(&lines) {
        let hex: String = value(n).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(*line, hex, "value {n}");
        let mut written = value(n);
        written[0] = written[0].wrapping_add(1);
        assert_eq!(map.lookup(&n.to_ne_bytes(), 0).expect("an array"), written, "what the consumer wrote");
    }
    assert_eq!(lines.len(), 700);
}

/// Programs put records in of all lengths, discard some, and go round the ring many times; whether the consumer reads a
/// record in one piece or takes each byte's position again, it sees every record.
#[test]
fn a_ring_buffer_is_mapped_as_the_kernels() {
    for mask_again in [0, 1] {
        let Some(folder) = consumer(&format!("ring{mask_again}")) else { return };
        let backend = folder.backend();
        const SIZE: u32 = 4096;
        let def = MapDef::new(MapType::RINGBUF, 0, 0, SIZE);
        let map = folder.pin(&backend, &def);
        // Output of as many bytes of the stack as the context's first word says, all of the second's.
        let store: String = (0..63).map(|i| format!("*(u64 *)(r10 - {}) = r7\n", 504 - 8 * i)).collect();
        let text = format!(
            "r6 = *(u64 *)(r1 + 0)\nr7 = *(u64 *)(r1 + 8)\nr6 &= 0x1ff\nif r6 > 504 goto out\n{store}r1 = map[idx:0] ll\nr2 = r10\nr2 += -504\nr3 = r6\nr4 = 0\ncall 130\nexit\nout:\nr0 = 0\nexit\n"
        );
        let drop_one = "r1 = map[idx:0] ll\nr2 = 24\nr3 = 0\ncall 131\nif r0 == 0 goto out\nr1 = r0\nr2 = 0\ncall 133\nout:\nr0 = 0\nexit\n";
        let load = |text: &str| {
            let mut spec = ProgramSpec::new(ProgramType::RAW_TRACEPOINT, assemble(text).expect("assembles"));
            spec.maps = vec![Arc::new(def.clone())];
            let loaded = backend.load_program(&spec, std::slice::from_ref(&map), LoadOptions::default());
            loaded.unwrap_or_else(|e| panic!("{}\n{}", e.error, e.log))
        };
        let (put, discard) = (load(&text), load(drop_one));
        let mut lengths = 0u64;
        for round in 0..30u64 {
            let mut expected = Vec::new();
            for n in 0..6 {
                lengths = (lengths * 5 + 37 + n) % 505;
                let byte = (round * 7 + n) as u8;
                let mut context = [0; 96];
                context[..8].copy_from_slice(&lengths.to_ne_bytes());
                context[8..16].fill(byte);
                assert_eq!(put.run(&mut context, None, None), Ok(0), "round {round}");
                let sum = (0..lengths).fold(0u64, |s, _| s.wrapping_mul(31).wrapping_add(byte.into()));
                expected.push(format!("{lengths} {sum}"));
                if n % 3 == 0 {
                    assert_eq!(discard.run(&mut [0; 96], None, None), Ok(0));
                    expected.push("24 discarded".into());
                }
            }
            assert_eq!(folder.consume("ring", SIZE, mask_again), expected, "round {round}");
        }
    }
}
