//! Types of the kernel's modules: specs name modules, the kernel wants descriptors.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use skep_isa::{Insn, Reg};
use skep_spec::{Errno, Error};

use crate::{sys, words};

const CALL: u8 = 0x85;
/// `BPF_PSEUDO_KFUNC_CALL`.
const PSEUDO_KFUNC_CALL: Reg = Reg(2);
/// `BPF_PSEUDO_BTF_ID`.
const PSEUDO_BTF_ID: Reg = Reg(3);

/// The descriptor of a module's types (libbpf's `load_module_btfs`). `what` begins messages.
///
/// # Errors
/// `ENOENT` when no such module is loaded, or it has no types; `EPERM` without `CAP_SYS_ADMIN`.
pub(crate) fn types(module: &str, what: &str) -> Result<OwnedFd, Error> {
    let (mut id, mut others) = (0, Vec::new());
    loop {
        id = match sys::btf_next_id(id) {
            Ok(id) => id,
            Err(Errno::ENOENT) => break,
            Err(e) => {
                return Err(words::error(e, &format!("{what}: looking for the types of module {module}")));
            }
        };
        let fd = match sys::btf_by_id(id) {
            Ok(fd) => fd,
            Err(Errno::ENOENT) => continue, // it has gone
            Err(e) => return Err(words::error(e, &format!("{what}: opening BTF {id}"))),
        };
        match sys::kernel_btf_name(std::os::fd::AsFd::as_fd(&fd)) {
            Ok(Some(name)) if name == module => return Ok(fd),
            Ok(Some(name)) if name != "vmlinux" => others.push(name),
            Ok(_) => {}
            Err(e) => return Err(words::error(e, &format!("{what}: asking for the name of BTF {id}"))),
        }
    }
    others.sort();
    let others = match others.is_empty() {
        true => "no module has".to_owned(),
        false => format!("these have: {}", others.join(", ")),
    };
    Err(Error::new(
        Errno::ENOENT,
        format!(
            "{what}: it was opened for types of module {module}, which this kernel does not have ({others}): load the module, \
             or open the object for this kernel"
        ),
    ))
}

/// The first index in `fd_array` that is a module's: behind the maps, and never 0, which stands for the kernel's own
/// types.
pub(crate) fn first_index(maps: usize) -> usize {
    maps.max(1)
}

/// Instructions as the kernel takes them: indices into `fd_array` and descriptors for the numbers of modules.
///
/// # Errors
/// `EINVAL` for a module beyond the list; `E2BIG` for more descriptors than an instruction can count.
pub(crate) fn bind(
    insns: &[Insn],
    modules: &[BorrowedFd<'_>],
    maps: usize,
    what: &str,
) -> Result<Vec<Insn>, Error> {
    let mut out = insns.to_vec();
    let mut at = 0;
    while let Some(&insn) = out.get(at) {
        let wide = insn.is_wide();
        let number = match (wide, insn.opcode, insn.src) {
            (true, _, PSEUDO_BTF_ID) => out.get(at + 1).map_or(0, |second| second.imm),
            (false, CALL, PSEUDO_KFUNC_CALL) => insn.off.into(),
            _ => 0,
        };
        if number != 0 {
            let index = usize::try_from(number).unwrap_or(usize::MAX).wrapping_sub(1);
            let Some(fd) = modules.get(index) else {
                let words = format!("{what}, insn {at}: module {number}, but it names {}", modules.len());
                return Err(Error::new(Errno::EINVAL, words));
            };
            if wide {
                out[at + 1].imm = fd.as_raw_fd();
            } else {
                out[at].off = i16::try_from(first_index(maps) + index).map_err(|_| {
                    let words =
                        format!("{what}, insn {at}: {maps} maps and {} modules are too many", modules.len());
                    Error::new(Errno::E2BIG, words)
                })?;
            }
        }
        at += if wide { 2 } else { 1 };
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn modules_stand_behind_maps_and_never_first() {
        let file = std::fs::File::open("/dev/null").expect("there is one");
        let call = Insn::new(CALL, Reg(0), PSEUDO_KFUNC_CALL, 2, 77);
        let variable = [Insn::new(0x18, Reg(1), PSEUDO_BTF_ID, 0, 5), Insn::new(0, Reg(0), Reg(0), 0, 1)];
        // The kernel's own, and a constant that looks like one of a module's.
        let own = [Insn::new(0x18, Reg(1), PSEUDO_BTF_ID, 0, 5), Insn::new(0, Reg(0), Reg(0), 0, 0)];
        let constant = [Insn::new(0x18, Reg(1), Reg(0), 0, 5), Insn::new(0, Reg(0), Reg(0), 0, 1)];
        let mut insns = vec![call, Insn { off: 0, ..call }];
        insns.extend(variable.into_iter().chain(own).chain(constant));
        let fds = [file.as_fd(), file.as_fd()];
        for (maps, index) in [(0, 2), (1, 2), (2, 3), (7, 8)] {
            let mut want = insns.clone();
            want[0].off = index;
            want[3].imm = file.as_raw_fd();
            assert_eq!(bind(&insns, &fds, maps, "it").expect("both are there"), want, "{maps} maps");
        }
        let e = bind(&insns, &fds[..1], 0, "program `p`").expect_err("there is no second");
        assert_eq!(e.message, "program `p`, insn 0: module 2, but it names 1");
        let e = bind(&[Insn { off: -1, ..call }], &fds, 0, "it").expect_err("none before the first");
        assert_eq!(e.errno, Errno::EINVAL);
        let e = bind(&insns, &fds, 32767, "it").expect_err("offsets have 16 bits");
        assert_eq!(e.errno, Errno::E2BIG);
    }
}
