//! The kernel's own BTF objects: its types and its modules'.

use std::os::fd::{BorrowedFd, OwnedFd};

use skep_spec::Errno;

use super::attr::{BtfInfo, ById, ObjInfo, cmd};
use super::{bpf, owned, raw};

/// Bytes of a module's name, its NUL included (`MODULE_NAME_LEN`).
const NAME_MAX: usize = 64 - size_of::<usize>();

/// `BPF_BTF_GET_NEXT_ID`: the first id after this one; `ENOENT` at the end.
pub fn btf_next_id(after: u32) -> Result<u32, Errno> {
    let mut attr = ById { id: after, ..ById::default() };
    // SAFETY: `ById` holds no addresses.
    unsafe { bpf(cmd::BTF_GET_NEXT_ID, &mut attr) }?;
    Ok(attr.next_id)
}

/// `BPF_BTF_GET_FD_BY_ID`.
pub fn btf_by_id(id: u32) -> Result<OwnedFd, Errno> {
    let mut attr = ById { id, ..ById::default() };
    // SAFETY: `ById` holds no addresses.
    unsafe { bpf(cmd::BTF_GET_FD_BY_ID, &mut attr) }.map(owned)
}

/// `BPF_OBJ_GET_INFO_BY_FD` for BTF: the name, if the kernel has made it (`vmlinux`, a module's).
pub fn kernel_btf_name(btf: BorrowedFd<'_>) -> Result<Option<String>, Errno> {
    let mut name = [0u8; NAME_MAX];
    let mut info =
        BtfInfo { name: name.as_mut_ptr() as u64, name_len: NAME_MAX as u32, ..BtfInfo::default() };
    let mut attr = ObjInfo {
        bpf_fd: raw(btf),
        info_len: size_of::<BtfInfo>() as u32,
        info: std::ptr::from_mut(&mut info) as u64,
    };
    // SAFETY: `info` is `info_len` bytes and live during the call, `name` has `name_len`; of the types none are asked for.
    unsafe { bpf(cmd::OBJ_GET_INFO_BY_FD, &mut attr) }?;
    let len = name.iter().position(|&c| c == 0).unwrap_or(NAME_MAX);
    Ok((info.kernel_btf != 0).then(|| String::from_utf8_lossy(&name[..len]).into_owned()))
}

/// `BPF_OBJ_GET_INFO_BY_FD` for BTF: the types themselves.
pub fn btf_bytes(btf: BorrowedFd<'_>) -> Result<Vec<u8>, Errno> {
    let ask = |bytes: &mut [u8]| {
        let size = u32::try_from(bytes.len()).map_err(|_| Errno::E2BIG)?;
        let mut info = BtfInfo { btf: bytes.as_mut_ptr() as u64, btf_size: size, ..BtfInfo::default() };
        let mut attr = ObjInfo {
            bpf_fd: raw(btf),
            info_len: size_of::<BtfInfo>() as u32,
            info: std::ptr::from_mut(&mut info) as u64,
        };
        // SAFETY: `info` is `info_len` bytes and live during the call; `bytes` is exclusively ours and has `btf_size`; of
        // the name, none is asked for.
        unsafe { bpf(cmd::OBJ_GET_INFO_BY_FD, &mut attr) }?;
        Ok(info.btf_size as usize)
    };
    let mut bytes = vec![0; ask(&mut [])?];
    let size = ask(&mut bytes)?;
    bytes.truncate(size);
    Ok(bytes)
}
