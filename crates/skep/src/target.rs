//! The machine that objects are opened for: its types, for CO-RE, its configuration and its symbols.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use skep_btf::Btf;
use skep_btf::relo::{Minimal, Module, TargetBtf};
use skep_object::{Kconfig, Symbols, Unlinked};
use skep_spec::ProgramSpec;

use crate::{Error, ErrorKind, kernel};

/// Where Linux shows its types, a file for the kernel and one for each module.
const KERNEL: &str = "/sys/kernel/btf";

/// What an object may ask of the machine that it is to run on. Nothing is read before an object asks.
///
/// ```
/// use skep::{Object, Target};
///
/// let bytes = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/protocols/protocols.bpf.o"));
/// # if cfg!(target_endian = "big") { return Ok(()) }
/// let object = Object::parse_for("protocols.bpf.o", bytes, &Target::running_kernel())?;
/// # Ok::<(), skep::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Target {
    types: Types,
    loaded: OnceCell<Option<TargetBtf>>,
    /// Whether the running kernel is asked for what is not given.
    running: bool,
    /// Options that are given; they count before the running kernel's.
    options: Kconfig,
    config: OnceCell<Option<Kconfig>>,
    symbols: OnceCell<Option<BTreeMap<String, u64>>>,
}

#[derive(Debug, Default)]
enum Types {
    /// Objects that need some have programs that cannot be used.
    #[default]
    None,
    /// The running kernel's, if it shows them.
    Kernel,
    /// Those that are `loaded`.
    Given,
}

impl Target {
    /// The running kernel with its modules. Where it does not show its types, programs that need some say so.
    pub fn running_kernel() -> Self {
        Self { types: Types::Kernel, running: true, ..Self::default() }
    }

    /// The machine that files describe: raw BTF, or an ELF file with a `.BTF` section (a kernel image, a module, a
    /// program). The first is the kernel's; others stand on it and are of the modules that the files are named after
    /// (`nf_conntrack`, `nf-conntrack.ko`).
    ///
    /// # Errors
    /// `Unreadable` or `Damaged`, with the file's name; `Usage` for no file.
    pub fn from_files<P: AsRef<Path>>(files: &[P]) -> Result<Self, Error> {
        let Some((main, modules)) = files.split_first() else {
            return Err(Error::new(ErrorKind::Usage, "a target needs at least one BTF file"));
        };
        let main = Arc::new(read_btf(main.as_ref(), None)?);
        let modules: Vec<_> = modules.iter().map(|m| module(m.as_ref(), &main)).collect::<Result<_, _>>()?;
        Ok(TargetBtf::from(main).with_modules(move |_| modules.clone()).into())
    }

    /// With options of the kernel's configuration from a file (`.config`, `config.gz`), for `__kconfig` variables. What
    /// was given first counts.
    ///
    /// # Errors
    /// `Unreadable` or `Damaged`, with the file's name.
    pub fn with_config_file(mut self, path: &Path) -> Result<Self, Error> {
        kernel::read_config(path, &mut self.options)?;
        Ok(self)
    }

    /// With options as lines of a `.config`: `CONFIG_HZ=250`.
    ///
    /// # Errors
    /// `Usage` for a line that is none.
    pub fn with_config(mut self, lines: &str) -> Result<Self, Error> {
        self.options.read(lines).map_err(|what| Error::new(ErrorKind::Usage, what))?;
        Ok(self)
    }

    /// With addresses of the kernel's symbols, for `__ksym` externs without a type.
    #[must_use]
    pub fn with_symbols(mut self, symbols: BTreeMap<String, u64>) -> Self {
        self.symbols = OnceCell::from(Some(symbols));
        self
    }

    /// With addresses of the kernel's symbols from a file as `/proc/kallsyms` or `System.map`. Of several of a name the
    /// first counts; zeros, which a kernel shows that hides its addresses, are left out.
    ///
    /// # Errors
    /// `Unreadable` or `Damaged`, with the file's name and the line.
    pub fn with_symbols_file(self, path: &Path) -> Result<Self, Error> {
        Ok(self.with_symbols(kernel::symbols(path)?))
    }

    pub(crate) fn kconfig(&self) -> Option<&Kconfig> {
        let load = || {
            let mut config = self.options.clone();
            if self.running && kernel::own_config(&mut config).is_some() {
                return Some(config);
            }
            (self.options != Kconfig::default()).then_some(config)
        };
        self.config.get_or_init(load).as_ref()
    }

    pub(crate) fn symbols(&self) -> Option<&dyn Symbols> {
        let load = || if self.running { kernel::symbols(Path::new("/proc/kallsyms")).ok() } else { None };
        self.symbols.get_or_init(load).as_ref().map(|s| s as &dyn Symbols)
    }

    /// Names of the kernel's symbols, if they are known: what programs with addresses of its variables are verified by.
    pub fn kernel_symbols(&self) -> Option<Arc<BTreeSet<String>>> {
        self.symbols()?;
        let symbols = self.symbols.get()?.as_ref()?;
        Some(Arc::new(symbols.keys().cloned().collect()))
    }

    /// Bytes of a page: this machine's.
    pub(crate) fn page_size(&self) -> u32 {
        skep_user::page_size()
    }

    /// The kernel's types, without those of modules: what programs on objects of the kernel are verified by.
    pub fn kernel_types(&self) -> Option<Arc<Btf>> {
        self.btf().map(|target| Arc::clone(target.main()))
    }

    pub(crate) fn btf(&self) -> Option<&TargetBtf> {
        let load = || match self.types {
            Types::None | Types::Given => None,
            Types::Kernel => {
                let main = read_btf(&Path::new(KERNEL).join("vmlinux"), None).ok()?;
                Some(TargetBtf::from(main).with_modules(modules))
            }
        };
        self.loaded.get_or_init(load).as_ref()
    }
}

impl From<TargetBtf> for Target {
    fn from(btf: TargetBtf) -> Self {
        Self { types: Types::Given, loaded: OnceCell::from(Some(btf)), ..Self::default() }
    }
}

/// Reads types from a file: raw BTF, or the `.BTF` section of an ELF file. With a base they are split.
///
/// # Errors
/// `Unreadable` or `Damaged`, with the file's name.
pub fn read_btf(path: &Path, base: Option<&Arc<Btf>>) -> Result<Btf, Error> {
    let name = path.display().to_string();
    let kernel = if path == Path::new(KERNEL).join("vmlinux") { skep_linux::kernel_types() } else { None };
    let bytes: Cow<'static, [u8]> = match kernel {
        Some(mapped) => mapped.into(),
        None => std::fs::read(path).map_err(|e| Error::reading(&name, e))?.into(),
    };
    let section: Cow<'static, [u8]> = if bytes.starts_with(b"\x7fELF") {
        match skep_object::btf_section(&name, &bytes) {
            Ok(Some(section)) => section.to_vec().into(),
            Ok(None) => {
                let words = format!("`{name}` has no section .BTF: compile with -g, or run pahole -J on it");
                return Err(Error::new(ErrorKind::Damaged, words));
            }
            Err(e) => return Err(Error::new(ErrorKind::Damaged, e.to_string()).caused_by(e)),
        }
    } else {
        bytes
    };
    let btf = match base {
        Some(base) => Btf::parse_split(section, base.clone()),
        None => Btf::parse_owned(section),
    };
    btf.map_err(|e| Error::new(ErrorKind::Damaged, format!("`{name}`: {e}")).caused_by(e))
}

/// The part of `target` that the CO-RE relocations of some object files look at: relocated against it, the objects
/// come out as against the whole, but for what asks for ids of types.
///
/// # Errors
/// `Unreadable` or `Damaged`, with the file's name.
pub fn minimal_btf<P: AsRef<Path>>(objects: &[P], target: &Btf) -> Result<Btf, Error> {
    let mut minimal = Minimal::new(target);
    for path in objects {
        let name = path.as_ref().display().to_string();
        let bytes = std::fs::read(path).map_err(|e| Error::reading(&name, e))?;
        let unlinked = Unlinked::parse_any_endian(&name, &bytes)
            .map_err(|e| Error::new(ErrorKind::Damaged, e.to_string()).caused_by(e))?;
        if let Some(btf) = unlinked.btf() {
            minimal
                .add(btf, unlinked.core_relos())
                .map_err(|e| Error::new(ErrorKind::Damaged, format!("`{name}`: {e}")).caused_by(e))?;
        }
    }
    Ok(minimal.finish())
}

/// Types of all modules that can be read.
fn modules(kernel: &Arc<Btf>) -> Vec<Module> {
    let Ok(entries) = std::fs::read_dir(KERNEL) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    paths.sort();
    paths.iter().filter(|p| !p.ends_with("vmlinux")).filter_map(|p| module(p, kernel).ok()).collect()
}

/// The types of the module that a file is named after. The kernel writes `_` for `-` in names of modules.
fn module(path: &Path, kernel: &Arc<Btf>) -> Result<Module, Error> {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let name = file.split('.').next().unwrap_or_default().replace('-', "_");
    Ok(Module { name, btf: Arc::new(read_btf(path, Some(kernel))?) })
}

/// Why the instruction at `pc` calls a helper that nobody has: what a CO-RE relocation looked for in vain.
pub fn poison_at(spec: &ProgramSpec, pc: usize) -> Option<String> {
    let poisoned = spec.poisoned.iter().find(|p| p.insn_off as usize == pc)?;
    Some(format!("the target has nothing for {}", poisoned.what))
}

/// The same from a kernel's log, whose last instruction is the one that was refused.
pub(crate) fn poison_in_log(spec: &ProgramSpec, log: &str) -> Option<String> {
    if !log.contains("invalid func unknown#") {
        return None;
    }
    let number = |l: &str| l.split_once(": (85) call unknown#")?.0.trim().parse().ok();
    let pc = log.lines().filter_map(number).next_back()?;
    poison_at(spec, pc)
}
