//! Programs: loading with a log, and test runs.

use std::any::Any;
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use skep_abi::{AttachType, ProgramType};
use skep_isa::{Endian, Insn};
use skep_spec::{
    BackendProgram, Errno, Error, FuncInfo, LineInfo, LoadError, NativeInfo, ProgramInfo, RunInput, RunOutput,
};

use crate::sys::{self, Load, Run, attr};
use crate::{module, words};

/// First size of the log buffer, which allocators clear. Where only statistics are asked for, a few lines are all.
const LOG_BYTES: usize = 4 << 20;
const STATS_BYTES: usize = 16 << 10;
/// Bits of the log level that ask for instructions (`BPF_LOG_LEVEL`); what is left are statistics.
const LOG_INSNS: u32 = 3;
/// Room beyond what the kernel says that a log needs: it contains times.
const LOG_SLACK: usize = 4096;
/// The kernel's bound on `log_size` (`UINT_MAX >> 2`).
const LOG_BYTES_MAX: usize = (u32::MAX >> 2) as usize;
/// Room behind the packet of a test run for programs that make it longer.
const GROWTH: usize = 1 << 16;
/// Room for the context that a test run gives back: more than any has.
const CONTEXT_MAX: usize = 256;

/// A program of the kernel.
pub struct LinuxProgram {
    fd: OwnedFd,
    name: String,
    prog_type: ProgramType,
    log: String,
    notes: Vec<String>,
}

impl LinuxProgram {
    /// The name it was loaded under, uncut.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The verifier's log, if one was asked for.
    pub fn log(&self) -> &str {
        &self.log
    }

    /// What was left out to make it load on this kernel: BTF, for instance.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    pub(crate) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// Runs counted by the kernel while run statistics are enabled.
    pub(crate) fn run_count(&self) -> u64 {
        sys::prog_info(self.fd.as_fd()).map_or(0, |i| i.run_cnt)
    }
}

impl AsFd for LinuxProgram {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Slots to load as they stand, without a spec.
#[derive(Clone, Copy, Default)]
pub struct RawLoad<'a> {
    /// Name, for messages; the kernel sees its first 15 bytes, or none.
    pub name: &'a str,
    /// Program type.
    pub prog_type: ProgramType,
    /// Expected attach type.
    pub attach_type: AttachType,
    /// `BPF_F_*`.
    pub flags: u32,
    /// Licence.
    pub license: &'a str,
    /// `kern_version`, for kernels before 5.0.
    pub kernel_version: u32,
    /// The kernel's type that the program belongs to; 0 for none.
    pub attach_btf_id: u32,
    /// The module whose types have it; none for the kernel's own.
    pub attach_btf: Option<BorrowedFd<'a>>,
    /// The program whose types have it, for one that replaces a function of that.
    pub attach_prog: Option<BorrowedFd<'a>>,
    /// Slots.
    pub insns: &'a [Insn],
    /// Descriptors that map indices in the program (`LDDW` with `src` 5 or 6) stand for.
    pub maps: &'a [BorrowedFd<'a>],
    /// Types of modules that calls of kfuncs name (`off`): they stand in `fd_array` behind the maps, from index 1 on at
    /// least.
    pub modules: &'a [BorrowedFd<'a>],
    /// The program's BTF; without it the records below are ignored.
    pub btf: Option<BorrowedFd<'a>>,
    /// Functions.
    pub func_info: &'a [FuncInfo],
    /// Lines.
    pub line_info: &'a [LineInfo],
    /// Log level: 0 none unless the load fails, 1 on failure, 2 every instruction, 4 statistics.
    pub log_level: u32,
}

impl RawLoad<'_> {
    /// `BPF_PROG_LOAD`.
    ///
    /// Map indices go to the kernel as they stand, with `fd_array`; a kernel that does not know them (before
    /// 5.14) gets descriptors in the instructions instead. A failure without a log is tried again with one.
    ///
    /// # Errors
    /// The kernel's, with the verifier's log; `EINVAL` for a map index beyond the list.
    pub fn load(&self) -> Result<LinuxProgram, LoadError> {
        let result = self.load_encoded(self.insns);
        let Err(e) = &result else { return result };
        if e.error.errno == Errno::EINVAL && self.uses_map_indices() && e.log.contains("bpf_ld_imm64") {
            return self.load_encoded(&self.with_descriptors());
        }
        result
    }

    fn uses_map_indices(&self) -> bool {
        map_indices(self.insns).next().is_some()
    }

    /// The slots with descriptors in place of map indices.
    fn with_descriptors(&self) -> Vec<Insn> {
        let mut insns = self.insns.to_vec();
        for i in map_indices(self.insns).collect::<Vec<_>>() {
            if let Some(map) = usize::try_from(insns[i].imm).ok().and_then(|n| self.maps.get(n)) {
                insns[i].src.0 -= 4;
                insns[i].imm = map.as_raw_fd();
            }
        }
        insns
    }

    fn load_encoded(&self, insns: &[Insn]) -> Result<LinuxProgram, LoadError> {
        let bytes: Vec<u8> = insns.iter().flat_map(|i| i.to_bytes(Endian::NATIVE)).collect();
        for i in map_indices(insns) {
            if usize::try_from(insns[i].imm).map_or(true, |n| n >= self.maps.len()) {
                let (n, have) = (insns[i].imm, self.maps.len());
                let words = format!(
                    "program `{}`, insn {i}: map index {n}, but the program has {have} maps",
                    self.name
                );
                return Err(LoadError { error: Error::new(Errno::EINVAL, words), log: String::new() });
            }
        }
        let mut fd_array: Vec<i32> = self.maps.iter().map(AsRawFd::as_raw_fd).collect();
        if !self.modules.is_empty() {
            fd_array.resize(module::first_index(self.maps.len()), 0);
            fd_array.extend(self.modules.iter().map(AsRawFd::as_raw_fd));
        }
        let license = CString::new(self.license).unwrap_or_default();
        let func_info: Vec<u8> =
            self.func_info.iter().flat_map(|f| words_to_bytes([f.insn_off, f.type_id])).collect();
        let line_info: Vec<u8> = self
            .line_info
            .iter()
            .flat_map(|l| words_to_bytes([l.insn_off, l.file_name_off, l.line_off, l.line_col]))
            .collect();
        let load = Load {
            prog_type: self.prog_type.0,
            attach_type: self.attach_type.0,
            flags: self.flags,
            kernel_version: self.kernel_version,
            name: attr::object_name(self.name),
            insns: &bytes,
            license: &license,
            btf: self.btf,
            func_info: &func_info,
            line_info: &line_info,
            attach_btf_id: self.attach_btf_id,
            attach_btf: self.attach_btf,
            attach_prog: self.attach_prog,
            fd_array: &fd_array,
            log_level: 0,
        };
        let attempt = |level: u32| match level {
            0 => (sys::prog_load(&Load { log_level: 0, ..load }, &mut []).0, String::new()),
            level => {
                let first = if level & LOG_INSNS == 0 { STATS_BYTES } else { LOG_BYTES };
                with_log(first, |log| sys::prog_load(&Load { log_level: level, ..load }, log))
            }
        };
        let (mut result, mut log) = attempt(self.log_level);
        if matches!(result, Err(Errno::EPERM)) && sys::raise_memlock() {
            (result, log) = attempt(self.log_level);
        }
        if let (Err(first), 0) = (&result, self.log_level) {
            let first = *first;
            (result, log) = attempt(1);
            // A log that does not fit hides the reason's number, which is known already.
            if matches!(result, Err(Errno::ENOSPC)) {
                result = Err(first);
            }
        }
        match result {
            Ok(fd) => {
                let name = self.name.into();
                Ok(LinuxProgram { fd, name, prog_type: self.prog_type, log, notes: Vec::new() })
            }
            Err(errno) => Err(LoadError { error: self.explain(errno, &log), log }),
        }
    }

    #[cold]
    fn explain(&self, errno: Errno, log: &str) -> Error {
        let kind = self.prog_type.name().map_or_else(|| format!("type {}", self.prog_type.0), str::to_string);
        let what = format!("loading program `{}` ({kind})", self.name);
        match last_words(log) {
            _ if errno == Errno::ENOSPC => Error::new(
                errno,
                format!(
                    "{what}: the verifier's log is longer than {LOG_BYTES_MAX} bytes: ask for a lower log level"
                ),
            ),
            Some(reason) => Error::new(errno, format!("{what}: the kernel's verifier refuses it: {reason}")),
            None if errno == Errno::EINVAL && self.prog_type.name().is_none() => {
                Error::new(errno, format!("{what}: this kernel does not know the program type"))
            }
            None if errno == Errno::E2BIG => Error::new(
                errno,
                format!(
                    "{what}: {} slots; the kernel takes 1 to 4096 from the unprivileged and 1,000,000 with CAP_BPF",
                    self.insns.len()
                ),
            ),
            None if errno == Errno::EPERM && self.needs_trampoline() => Error::new(
                errno,
                format!(
                    "{what}: {}; programs for the kernel's own functions (fentry, fexit, fmod_ret, LSM) need CAP_BPF and \
                     CAP_PERFMON, and some kernels forbid them to everyone: a tracepoint (tp_btf/NAME, raw_tp/NAME) may do",
                    errno.text()
                ),
            ),
            None if errno == Errno::EPERM && self.prog_type == ProgramType::EXT => Error::new(
                errno,
                format!(
                    "{what}: {}; programs that replace a function of another need CAP_BPF and CAP_PERFMON, and some kernels \
                     forbid them to everyone; `skep check --extends` verifies it without the kernel",
                    errno.text()
                ),
            ),
            None => words::error(errno, &what),
        }
    }

    /// Whether it runs from within a function of the kernel, which is changed for it.
    fn needs_trampoline(&self) -> bool {
        let own = matches!(self.attach_type, AttachType::TRACE_RAW_TP | AttachType::TRACE_ITER);
        self.prog_type == ProgramType::LSM || (self.prog_type == ProgramType::TRACING && !own)
    }
}

/// The first slots of `LDDW`s that name a map by index.
fn map_indices(insns: &[Insn]) -> impl Iterator<Item = usize> + '_ {
    let mut next = 0;
    std::iter::from_fn(move || {
        while let Some(insn) = insns.get(next) {
            let at = next;
            next += if insn.is_wide() { 2 } else { 1 };
            if insn.is_wide() && matches!(insn.src.0, 5 | 6) {
                return Some(at);
            }
        }
        None
    })
}

fn words_to_bytes<const N: usize>(words: [u32; N]) -> Vec<u8> {
    words.iter().flat_map(|w| w.to_ne_bytes()).collect()
}

/// Loads into a log buffer, and once more if the kernel says how much larger it must be (6.4): each load verifies the
/// program, which can take seconds. Kernels that do not say get larger buffers until the log fits.
fn with_log<T>(
    mut size: usize,
    mut load: impl FnMut(&mut [u8]) -> (Result<T, Errno>, usize),
) -> (Result<T, Errno>, String) {
    loop {
        let mut log = vec![0; size];
        let (result, whole) = load(&mut log);
        let wanted = if whole == 0 { size * 16 } else { whole.saturating_add(LOG_SLACK) }.min(LOG_BYTES_MAX);
        if matches!(&result, Err(Errno::ENOSPC)) && wanted > size {
            size = wanted;
            continue;
        }
        return (result, text(&log));
    }
}

/// The text of a log buffer.
pub(crate) fn text(log: &[u8]) -> String {
    let len = log.iter().position(|&c| c == 0).unwrap_or(log.len());
    String::from_utf8_lossy(&log[..len]).into_owned()
}

/// The last line of a log that is not statistics: by convention the reason of a refusal.
fn last_words(log: &str) -> Option<&str> {
    log.lines().rev().map(str::trim).find(|l| {
        let statistics = ["processed ", "verification time", "stack depth", "insns processed", "mark_read"];
        !l.is_empty() && !statistics.iter().any(|s| l.starts_with(s))
    })
}

/// `verification time 17 usec`, in logs with statistics.
fn verification_time(log: &str) -> Option<Duration> {
    let line = log.lines().rev().find_map(|l| l.strip_prefix("verification time "))?;
    Some(Duration::from_micros(line.split(' ').next()?.parse().ok()?))
}

impl BackendProgram for LinuxProgram {
    fn info(&self) -> ProgramInfo {
        let info = sys::prog_info(self.fd.as_fd()).unwrap_or_default();
        ProgramInfo {
            id: info.id,
            name: self.name.clone(),
            prog_type: self.prog_type,
            insns_processed: info.verified_insns,
            verify_time: verification_time(&self.log),
            log: self.log.clone(),
            xlated_bytes: info.xlated_prog_len,
            native: (info.jited_prog_len > 0)
                .then_some(NativeInfo { bytes: info.jited_prog_len, compile_time: None }),
            interpreted: None,
        }
    }

    /// As `BPF_PROG_TEST_RUN`: programs on packets take one of at least 14 bytes and a context (none,
    /// `struct __sk_buff`, `struct xdp_md`, `struct bpf_flow_keys`); `syscall` programs and socket lookups take a
    /// context and no packet.
    fn test_run(&self, input: RunInput<'_>) -> Result<RunOutput, Error> {
        let result = if self.prog_type == ProgramType::SYSCALL {
            self.run_syscall(input)
        } else if self.prog_type == ProgramType::RAW_TRACEPOINT {
            let mut ctx = input.ctx.to_vec();
            let run = Run { data_in: &[], data_out: &mut [], ctx_in: &mut ctx, ctx_out: &mut [], repeat: 0 };
            sys::test_run(self.fd.as_fd(), run).map(|ran| RunOutput {
                retval: ran.retval,
                ctx,
                ..RunOutput::default()
            })
        } else {
            self.run_packet(input)
        };
        result.map_err(|errno| self.explain_run(errno, input))
    }

    fn raw_fd(&self) -> Option<i32> {
        Some(self.fd.as_raw_fd())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl LinuxProgram {
    fn run_packet(&self, input: RunInput<'_>) -> Result<RunOutput, Errno> {
        // Socket lookups refuse even room for data.
        let room = if self.prog_type == ProgramType::SK_LOOKUP { 0 } else { input.data.len() + GROWTH };
        let mut data = vec![0; room];
        let mut ctx_in = input.ctx.to_vec();
        // The kernel gives back the whole structure, whatever part of it was given.
        let mut ctx = vec![0; if input.ctx.is_empty() { 0 } else { CONTEXT_MAX }];
        let run = Run {
            data_in: input.data,
            data_out: &mut data,
            ctx_in: &mut ctx_in,
            ctx_out: &mut ctx,
            repeat: input.repeat,
        };
        let ran = sys::test_run(self.fd.as_fd(), run)?;
        data.truncate(ran.data_len);
        ctx.truncate(ran.ctx_len);
        Ok(RunOutput {
            retval: ran.retval,
            data,
            ctx,
            duration: Duration::from_nanos(u64::from(ran.duration_ns)),
            ..RunOutput::default()
        })
    }

    /// The kernel neither repeats nor times these, so we do; our time includes the system call.
    fn run_syscall(&self, input: RunInput<'_>) -> Result<RunOutput, Errno> {
        if !input.data.is_empty() {
            return Err(Errno::EINVAL);
        }
        let mut ctx = input.ctx.to_vec();
        let repeat = input.repeat.max(1);
        let start = Instant::now();
        let mut retval = 0;
        for _ in 0..repeat {
            let run = Run { data_in: &[], data_out: &mut [], ctx_in: &mut ctx, ctx_out: &mut [], repeat: 0 };
            retval = sys::test_run(self.fd.as_fd(), run)?.retval;
        }
        Ok(RunOutput { retval, ctx, duration: start.elapsed() / repeat, ..RunOutput::default() })
    }

    #[cold]
    fn explain_run(&self, errno: Errno, input: RunInput<'_>) -> Error {
        let what = format!("test run of program `{}`", self.name);
        let packet = matches!(self.prog_type, ProgramType::SOCKET_FILTER | ProgramType::XDP);
        match errno {
            Errno::EINVAL if packet && input.data.len() < 14 => Error::new(
                errno,
                format!("{what}: {} bytes of packet; the kernel wants at least 14", input.data.len()),
            ),
            Errno::EINVAL if self.prog_type == ProgramType::SYSCALL && !input.data.is_empty() => Error::new(
                errno,
                format!("{what}: syscall programs take no packet; pass the bytes as the context"),
            ),
            Errno::ENOTSUPP => Error::new(
                errno,
                format!(
                    "{what}: the kernel has no test run for {} programs",
                    self.prog_type.name().unwrap_or("these")
                ),
            ),
            _ => words::error(errno, &what),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skep_isa::Reg;

    #[test]
    fn the_reason_is_the_last_line_before_the_statistics() {
        let log = "0: (95) exit\nR0 !read_ok\nverification time 17 usec\nstack depth 0\nprocessed 1 insns\n";
        assert_eq!(last_words(log), Some("R0 !read_ok"));
        assert_eq!(verification_time(log), Some(Duration::from_micros(17)));
        assert_eq!(last_words(""), None);
        assert_eq!(verification_time("no"), None);
    }

    /// A kernel with a log of some length: what it was given, and how often.
    fn loads(log_len: usize, says_how_long: bool) -> (Vec<usize>, Result<(), Errno>, String) {
        let mut given = Vec::new();
        let (result, log) = with_log(LOG_BYTES, |log| {
            given.push(log.len());
            let written = log_len.min(log.len() - 1);
            log[..written].fill(b'x');
            let fits = log_len < log.len();
            (if fits { Ok(()) } else { Err(Errno::ENOSPC) }, if says_how_long { log_len + 1 } else { 0 })
        });
        (given, result, log)
    }

    #[test]
    fn a_log_is_asked_for_once_or_twice() {
        let (given, result, log) = loads(1000, true);
        assert_eq!((given.len(), result, log.len()), (1, Ok(()), 1000));
        let (given, result, log) = loads(40 << 20, true);
        assert_eq!((given.len(), result, log.len()), (2, Ok(()), 40 << 20));
        let (given, result, _) = loads(40 << 20, false);
        assert_eq!((given.len(), result), (2, Ok(())));
        let (given, result, _) = loads(LOG_BYTES - 1, true);
        assert_eq!((given.len(), result), (1, Ok(())), "just fits");
    }

    #[test]
    fn a_log_beyond_the_kernels_bound_ends() {
        for says in [true, false] {
            let mut given = Vec::new();
            let (result, _) = with_log(LOG_BYTES, |log| {
                given.push(log.len());
                (Err::<(), _>(Errno::ENOSPC), if says { usize::MAX } else { 0 })
            });
            assert_eq!(result, Err(Errno::ENOSPC));
            assert_eq!((given.last(), given.len() <= 4), (Some(&LOG_BYTES_MAX), true), "{given:?}");
        }
    }

    #[test]
    fn second_slots_are_not_map_indices() {
        let wide = |src| Insn::new(0x18, Reg::R1, Reg(src), 0, 0);
        // The middle pair's second slot looks like a wide instruction itself.
        let insns = [wide(0), wide(5), wide(6), Insn::default(), wide(1), Insn::default()];
        assert_eq!(map_indices(&insns).collect::<Vec<_>>(), [2]);
    }
}
