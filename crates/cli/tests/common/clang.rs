//! Objects that clang makes of C.

use std::process::Command;

use super::{Scratch, stderr};

/// Included before each file.
const HEAD: &str = "typedef unsigned int u32;\ntypedef unsigned long long u64;\n\
    #define SEC(name) __attribute__((section(name), used))\n#define __noinline __attribute__((noinline))\n\
    struct __sk_buff { u32 len; u32 pkt_type; };\n";

/// The object of a file of C, by its path; `None` where there is no clang for BPF, which is said.
pub fn compile(scratch: &Scratch, name: &str, text: &str) -> Option<String> {
    let head = scratch.file("head.h", HEAD);
    let text = format!("{text}\nchar _license[] SEC(\"license\") = \"GPL\";\n");
    let source = scratch.file(&format!("{name}.bpf.c"), text);
    let object = scratch.path(&format!("{name}.bpf.o")).display().to_string();
    let args = ["-target", "bpf", "-mcpu=v3", "-O2", "-g", "-include", &head, "-c", &source, "-o", &object];
    let Some(output) =
        ["clang-19", "clang"].iter().find_map(|clang| Command::new(clang).args(args).output().ok())
    else {
        println!("skipped: no clang");
        return None;
    };
    let words = stderr(&output);
    if words.contains("unable to create target") {
        println!("skipped: no clang for BPF");
        return None;
    }
    assert!(output.status.success(), "{words}");
    Some(object)
}
