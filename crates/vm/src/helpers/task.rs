//! The running thread, as the host tells it (kernel/bpf/helpers.c, kernel/bpf/cgroup.c).

use skep_spec::Errno;

use super::{Args, Call, errno};
use crate::host::COMM_BYTES;
use crate::trap::TrapKind;

/// `bpf_get_current_pid_tgid()`.
pub(super) fn pid_tgid(call: &mut Call<'_, '_, '_>, _: Args) -> Result<u64, TrapKind> {
    let task = call.state.host.task();
    Ok(u64::from(task.tgid) << 32 | u64::from(task.pid))
}

/// `bpf_get_current_uid_gid()`.
pub(super) fn uid_gid(call: &mut Call<'_, '_, '_>, _: Args) -> Result<u64, TrapKind> {
    let (uid, gid) = call.state.host.uid_gid();
    Ok(u64::from(gid) << 32 | u64::from(uid))
}

/// `bpf_get_current_comm(buf, size)`: the name, cut so that a NUL ends it, and zeros up to `size`.
pub(super) fn comm(call: &mut Call<'_, '_, '_>, [buf, size, ..]: Args) -> Result<u64, TrapKind> {
    let size = u64::from(size as u32);
    if size == 0 {
        return Err(TrapKind::Size(size));
    }
    if call.mem.zero(buf, size).is_none() {
        return Err(call.fault(buf, size, true));
    }
    let name = call.state.host.comm();
    let len = name.iter().position(|&b| b == 0).unwrap_or(COMM_BYTES - 1).min(size as usize - 1);
    let _checked = call.mem.write(buf, &name[..len]);
    Ok(0)
}

/// `bpf_get_current_task()`: a number that stands for the thread: its id, where Linux gives the address of its
/// `struct task_struct`. No memory is there.
pub(super) fn task(call: &mut Call<'_, '_, '_>, _: Args) -> Result<u64, TrapKind> {
    Ok(call.state.host.task().pid.into())
}

/// `bpf_get_current_cgroup_id()`.
pub(super) fn cgroup_id(call: &mut Call<'_, '_, '_>, _: Args) -> Result<u64, TrapKind> {
    Ok(call.state.host.cgroup_ids().last().copied().unwrap_or(0))
}

/// `bpf_get_current_ancestor_cgroup_id(level)`: 0 where the thread's group is not that deep.
pub(super) fn ancestor_cgroup_id(call: &mut Call<'_, '_, '_>, [level, ..]: Args) -> Result<u64, TrapKind> {
    // An `int` in the kernel.
    let level = usize::try_from(level as i32).ok();
    Ok(level.and_then(|l| call.state.host.cgroup_ids().get(l)).copied().unwrap_or(0))
}

/// `bpf_get_ns_current_pid_tgid(dev, ino, nsdata, size)`: fills `struct bpf_pidns_info`, thread and process.
/// -EINVAL, and zeros, when the size is another or the thread's namespace is not the one with that device and inode.
pub(super) fn ns_pid_tgid(
    call: &mut Call<'_, '_, '_>,
    [dev, ino, data, size, _]: Args,
) -> Result<u64, TrapKind> {
    let size = u64::from(size as u32);
    if call.mem.zero(data, size).is_none() {
        return Err(call.fault(data, size, true));
    }
    let task = call.state.host.task();
    if size != 8 || call.state.host.pid_namespace() != Some((dev, ino)) {
        return Ok(errno(Errno::EINVAL));
    }
    let mut info = [0; 8];
    info[..4].copy_from_slice(&task.pid.to_ne_bytes());
    info[4..].copy_from_slice(&task.tgid.to_ne_bytes());
    let _checked = call.mem.write(data, &info);
    Ok(0)
}
