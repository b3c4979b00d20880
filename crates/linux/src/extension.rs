//! Programs that replace a function of another program (`BPF_PROG_TYPE_EXT`): which one, by its number among the types of
//! the program that is loaded already (`libbpf_find_prog_btf_id`).

use std::os::fd::AsFd;

use skep_abi::ProgramType;
use skep_btf::{Btf, Kind};
use skep_spec::{Errno, Error, ProgramSpec};

use crate::program::LinuxProgram;
use crate::sys;

/// The number of the function's type: what the spec says, or else of the name in its section.
///
/// # Errors
/// `EINVAL` for a program that is no extension or names no function, and for one without types; `ESRCH` when it has no such
/// function.
pub(crate) fn find(spec: &ProgramSpec, whole: &LinuxProgram) -> Result<u32, Error> {
    let what = format!("program `{}` of section \"{}\"", spec.name, spec.section);
    if spec.prog_type != ProgramType::EXT {
        return Err(Error::new(
            Errno::EINVAL,
            format!("{what}: it is no extension: SEC(\"freplace/FUNCTION\")"),
        ));
    }
    if spec.attach_btf_id != 0 {
        return Ok(spec.attach_btf_id);
    }
    let Some(name) = spec.attach_target.as_deref() else {
        let words = format!("{what}: it does not say what it replaces: write SEC(\"freplace/FUNCTION\")");
        return Err(Error::new(Errno::EINVAL, words));
    };
    let whole_name = whole.name();
    let unreadable = |errno: Errno| {
        let words = format!("{what}: the types of program `{whole_name}` cannot be read: {}", errno.text());
        Error::new(errno, words)
    };
    let id = sys::prog_info(whole.as_fd()).map_err(unreadable)?.btf_id;
    if id == 0 {
        let words = format!(
            "{what}: program `{whole_name}`, a function of which it replaces, was loaded without types: compile with -g"
        );
        return Err(Error::new(Errno::EINVAL, words));
    }
    let types = sys::btf_by_id(id).map_err(unreadable)?;
    let bytes = sys::btf_bytes(types.as_fd()).map_err(unreadable)?;
    let btf = Btf::parse_owned(bytes).map_err(|e| {
        Error::new(Errno::EINVAL, format!("{what}: the types of program `{whole_name}`: {e}"))
    })?;
    let found = btf.find_by_name(Some(Kind::Func), name);
    found.map(|id| id.0).ok_or_else(|| {
        Error::new(Errno::ESRCH, format!("{what}: program `{whole_name}` has no function `{name}`"))
    })
}
