//! A header of the running kernel: libbpf's dumper and ours give clang the same layouts.

#[path = "../../../crates/object/tests/common/c.rs"]
mod c;

use std::path::Path;

use c::{assertions, clang, clang_is_missing, holds_va_list};
use skep_btf::{Btf, dump};

#[test]
fn both_headers_hold_what_the_kernel_s_types_say() {
    if let Some(why) = clang_is_missing() {
        return println!("skipped: {why}");
    }
    let path = Path::new("/sys/kernel/btf/vmlinux");
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) => return println!("skipped: {}: {e}", path.display()),
    };
    let btf = Btf::parse(&bytes).expect("the kernel's own BTF is right");
    let (all, count) = assertions(&btf, |_| true);
    clang("ours", &(dump::to_c(&btf).expect("C") + &all), &["-fsyntax-only"]);
    // libbpf leaves `va_list` to the compiler, whose own is of another size.
    let (most, same) = assertions(&btf, |id| !holds_va_list(&btf, id));
    clang("libbpf", &(libbpf_oracle::btf::dump_c(path) + &most), &["-fsyntax-only", "-Wno-everything"]);
    println!("{count} sizes and offsets hold in ours, {same} of them in libbpf's too");
    assert!(count > 30_000 && same > count - 20);
}
