//! What the running kernel tells of itself: its configuration, version and symbols.

use std::collections::BTreeMap;
use std::path::Path;

use skep_object::Kconfig;

use crate::{Error, ErrorKind};

/// Most bytes that a compressed configuration may have: Linux's has some 100,000.
const MAX_CONFIG: usize = 16 << 20;

/// Reads a `.config`, as text or compressed by gzip, into `config`. Options that it has already stay as they are.
///
/// # Errors
/// `Unreadable` or `Damaged`, with the file's name.
pub(crate) fn read_config(path: &Path, config: &mut Kconfig) -> Result<(), Error> {
    let name = path.display().to_string();
    let damaged = |what: &str| Error::new(ErrorKind::Damaged, format!("`{name}`: {what}"));
    let bytes = std::fs::read(path).map_err(|e| Error::reading(&name, e))?;
    let bytes = if bytes.starts_with(&[0x1f, 0x8b]) {
        gunzip(&bytes).ok_or_else(|| damaged("it is no gzip file, or larger than 16 MiB"))?
    } else {
        bytes
    };
    let text = String::from_utf8(bytes).map_err(|_| damaged("it is no text"))?;
    config.read(&text).map_err(|what| damaged(&what))
}

/// The contents of a gzip file of one member (RFC 1952); checksums are not looked at.
fn gunzip(bytes: &[u8]) -> Option<Vec<u8>> {
    let (&flags, mut at) = (bytes.get(3)?, 10);
    if bytes.get(2) != Some(&8) || flags & 0xe0 != 0 {
        return None;
    }
    if flags & 4 != 0 {
        at += 2 + usize::from(u16::from_le_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    }
    // A name, a comment.
    for _ in 0..(flags >> 3 & 1) + (flags >> 4 & 1) {
        at += bytes.get(at..)?.iter().position(|b| *b == 0)? + 1;
    }
    if flags & 2 != 0 {
        at += 2;
    }
    miniz_oxide::inflate::decompress_to_vec_with_limit(bytes.get(at..)?, MAX_CONFIG).ok()
}

/// What is not in a configuration: version and abilities.
pub(crate) fn describe(config: &mut Kconfig) {
    let Ok(release) = std::fs::read_to_string("/proc/sys/kernel/osrelease") else { return };
    let mut parts = release.trim_end().split(['.', '-']).map_while(|p| p.parse::<u32>().ok());
    let Some(major) = parts.next() else { return };
    let (minor, patch) = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    config.kernel_version = Some(major << 16 | minor << 8 | patch.min(255));
    // libbpf tries both out; the first came with 5.15, the second with 4.17 on the CPUs that have it.
    config.has_bpf_cookie = (major, minor) >= (5, 15);
    let wrapped = ["x86_64", "x86", "aarch64", "s390x", "riscv64"].contains(&std::env::consts::ARCH);
    config.has_syscall_wrapper = wrapped && (major, minor) >= (4, 17);
}

/// The running kernel's options, from where distributions and the kernel itself keep them.
pub(crate) fn own_config(config: &mut Kconfig) -> Option<()> {
    describe(config);
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
    let boot = format!("/boot/config-{}", release.trim_end());
    [boot.as_str(), "/proc/config.gz"].iter().find_map(|p| read_config(Path::new(p), config).ok())
}

/// Addresses by name from `/proc/kallsyms` or a `System.map`: of several of a name the first counts. A kernel that
/// hides addresses shows zeros, which are left out.
///
/// # Errors
/// `Unreadable` or `Damaged`, with the file's name and the line.
pub(crate) fn symbols(path: &Path) -> Result<BTreeMap<String, u64>, Error> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|e| Error::reading(&file, e))?;
    let mut out = BTreeMap::new();
    for (number, line) in (1..).zip(text.lines()) {
        let mut words = line.split_whitespace();
        let Some(address) = words.next() else { continue };
        let address = u64::from_str_radix(address, 16).ok();
        let (Some(address), Some(kind), Some(name)) = (address, words.next(), words.next()) else {
            let words =
                format!("`{file}`, line {number}: no symbol as /proc/kallsyms has them: ADDRESS TYPE NAME");
            return Err(Error::new(ErrorKind::Damaged, words));
        };
        // Of data that link-time optimisation has renamed, as libbpf reads it.
        let name = match name.split_once(".llvm.") {
            Some((name, _)) if kind == "d" => name,
            _ => name,
        };
        if address != 0 {
            out.entry(name.to_owned()).or_insert(address);
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::gunzip;

    #[test]
    fn gzip_headers() {
        let body = miniz_oxide::deflate::compress_to_vec(b"CONFIG_A=y\n", 6);
        let file = |flags: u8, extra: &[u8]| {
            let head = [0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 3];
            [&head[..], extra, &body, &[0; 8]].concat()
        };
        let text = Some(b"CONFIG_A=y\n".to_vec());
        assert_eq!(gunzip(&file(0, b"")), text);
        assert_eq!(gunzip(&file(8, b"name\0")), text);
        assert_eq!(gunzip(&file(4 | 8 | 16 | 2, b"\x03\0xyzname\0comment\0cr")), text);
        assert_eq!(gunzip(&file(0x20, b"")), None);
        let whole = file(8, b"name\0");
        for len in 0..20 {
            assert_eq!(gunzip(&whole[..len]), None, "cut to {len}");
        }
    }
}
