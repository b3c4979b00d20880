//! What programs belong to that name a tracepoint, iterator, function or hook of the kernel: the number of its type.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use skep_abi::ProgramType;
use skep_btf::{Btf, Kind};
use skep_spec::{Errno, Error, ProgramSpec};

use crate::sys::mapped::kernel_types;

/// Where the kernel shows its types and those of its modules.
const FOLDER: &str = "/sys/kernel/btf";
/// The kernel itself, among the names of modules.
const KERNEL: &str = "vmlinux";
/// How alike names are that a message proposes, of 1, and how many of them.
const ALIKE: (f64, usize) = (0.88, 3);

/// The running kernel's types, read when they are first asked for.
#[derive(Default)]
pub(crate) struct KernelTypes(OnceLock<Result<Arc<Btf>, String>>);

impl KernelTypes {
    pub(crate) fn get(&self) -> Result<&Arc<Btf>, &str> {
        self.0.get_or_init(|| read().map(Arc::new)).as_ref().map_err(String::as_str)
    }
}

fn read() -> Result<Btf, String> {
    let path = Path::new(FOLDER).join(KERNEL);
    let parsed = match kernel_types() {
        Some(mapped) => Btf::parse_owned(mapped),
        None => Btf::parse_owned(std::fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))?),
    };
    parsed.map_err(|e| format!("{}: {e}", path.display()))
}

/// The type that a program belongs to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Point {
    /// Its number; 0 for none.
    pub id: u32,
    /// The module that has it; `None` for the kernel itself.
    pub module: Option<String>,
}

/// The type that a program belongs to: what the spec says, or else what its section names. As in libbpf
/// (`libbpf_find_attach_btf_id`), `MODULE:NAME` is looked for in that module, and a name alone in the kernel and then in
/// all its modules.
///
/// # Errors
/// `ESRCH` when nothing has the name, or the kernel does not show its types; `EINVAL` when the section names nothing;
/// `ENOTSUPP` for programs that replace a function of another program: [`crate::extension`] knows which.
pub(crate) fn find(spec: &ProgramSpec, kernel: &KernelTypes) -> Result<Point, Error> {
    let given = Point { id: spec.attach_btf_id, module: spec.attach_module.clone() };
    // Without a section nobody has named anything: the kernel says what it wants.
    if given.id != 0 || spec.section.is_empty() && spec.attach_target.is_none() {
        return Ok(given);
    }
    let refuse = |errno, words: &str| {
        Err(Error::new(errno, format!("SEC(\"{}\") of program `{}`: {words}", spec.section, spec.name)))
    };
    if spec.prog_type == ProgramType::EXT {
        let words = "it replaces a function of another program, which must be loaded first and given (load_extension)";
        return refuse(Errno::ENOTSUPP, words);
    }
    let Some((prefix, kind)) = spec.attach_kind() else { return Ok(given) };
    let Some(target) = spec.attach_target.as_deref() else {
        let words = format!("it does not say what it is for: write SEC(\"{}/NAME\")", spec.section);
        return refuse(Errno::EINVAL, &words);
    };
    let (module, name) = match target.split_once(':') {
        Some((module, name)) => (Some(module), name),
        None => (None, target),
    };
    let wanted = Wanted { kind, name: format!("{prefix}{name}") };
    let what = if kind == Kind::Typedef { "typedef" } else { "function" };
    let btf = match kernel.get() {
        Ok(btf) => btf,
        Err(why) => {
            let words = format!(
                "{what} {} cannot be looked for in the running kernel's types, which cannot be read ({why})",
                wanted.name
            );
            return refuse(Errno::ESRCH, &words);
        }
    };
    if module.is_none_or(|m| m == KERNEL)
        && let Some(id) = wanted.own_in(btf)
    {
        return Ok(Point { id, module: None });
    }
    if module != Some(KERNEL)
        && let Some(point) = wanted.in_modules(Path::new(FOLDER), module, btf)
    {
        return Ok(point);
    }
    let mut words = match module {
        None => {
            format!(
                "neither the running kernel's types nor those of its modules have a {what} {}",
                wanted.name
            )
        }
        Some(module) => {
            format!("the running kernel's types have no {what} {} of module {module}", wanted.name)
        }
    };
    let alike = alike(btf, kind, prefix, name);
    if !alike.is_empty() {
        let _ = write!(words, "; there is {}", alike.join(", "));
    }
    refuse(Errno::ESRCH, &words)
}

/// A type that is looked for.
struct Wanted {
    kind: Kind,
    name: String,
}

impl Wanted {
    /// Its number among the types that are not the base's.
    fn own_in(&self, btf: &Btf) -> Option<u32> {
        let same = |id: &_| btf.kind(*id) == Some(self.kind) && btf.name(*id) == Some(self.name.as_str());
        match btf.base() {
            None => btf.find_by_name(Some(self.kind), &self.name),
            Some(_) => btf.own_ids().find(same),
        }
        .map(|id| id.0)
    }

    /// The first module that has it, in the order of their names; only `module`, if one is named. Types that cannot be
    /// read are those of nobody.
    fn in_modules(&self, folder: &Path, module: Option<&str>, base: &Arc<Btf>) -> Option<Point> {
        let entries = std::fs::read_dir(folder).ok()?;
        let mut paths: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
        paths.sort();
        paths.into_iter().find_map(|path| {
            let file = path.file_name()?.to_str()?;
            if file == KERNEL || module.is_some_and(|m| m != file) {
                return None;
            }
            let btf = Btf::parse_split(std::fs::read(&path).ok()?, Arc::clone(base)).ok()?;
            self.own_in(&btf).map(|id| Point { id, module: Some(file.to_owned()) })
        })
    }
}

/// Names that a section may have meant, without the prefix, the likest first.
#[cold]
fn alike(btf: &Btf, kind: Kind, prefix: &str, name: &str) -> Vec<String> {
    // As with `tp/`, whose names have the subsystem first.
    let last = name.rsplit('/').next().unwrap_or(name);
    let names = btf.iter_kinds([kind]).filter_map(|(id, _)| btf.name(id)?.strip_prefix(prefix));
    let measured = names.map(|n| (strsim::jaro_winkler(n, last), n));
    let mut near: Vec<_> = measured.filter(|(by, _)| *by >= ALIKE.0).collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    near.dedup();
    near.into_iter().take(ALIKE.1).map(|(_, n)| n.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use skep_btf::{Builder, Endian, FuncLinkage, TypeId};

    /// Types with functions and typedefs of these names.
    fn types(mut builder: Builder, functions: &[&str], typedefs: &[&str]) -> Btf {
        let proto = builder.func_proto(TypeId(0), &[]);
        for name in functions {
            builder.func(name, proto, FuncLinkage::Static);
        }
        for name in typedefs {
            builder.typedef(name, proto);
        }
        builder.finish().expect("they are few")
    }

    #[test]
    fn modules_are_asked_in_the_order_of_their_names() {
        let folder = std::env::temp_dir().join(format!("skep-attach-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder for the test");
        let base = Arc::new(types(Builder::new(), &["both"], &["kernels"]));
        let split = |functions: &[&str]| {
            types(Builder::split(base.clone()), functions, &["only"]).to_bytes(Endian::NATIVE)
        };
        std::fs::write(folder.join("vmlinux"), "not looked at").expect("written");
        std::fs::write(folder.join("aaa"), "damaged").expect("written");
        std::fs::write(folder.join("zebra"), split(&["both", "late"])).expect("written");
        std::fs::write(folder.join("bee"), split(&["both", "early"])).expect("written");
        let find = |kind, name: &str, module| {
            let wanted = Wanted { kind, name: name.into() };
            let point = wanted.in_modules(&folder, module, &base)?;
            Some(format!("{} {}", point.module.expect("a module's"), point.id))
        };
        let first = base.len() as u32;
        let at = |module: &str, n: u32| Some(format!("{module} {}", first + n));
        // The prototype, the functions, the typedef.
        assert_eq!(find(Kind::Func, "both", None), at("bee", 1));
        assert_eq!(find(Kind::Func, "both", Some("zebra")), at("zebra", 1));
        assert_eq!(find(Kind::Func, "late", None), at("zebra", 2));
        assert_eq!(find(Kind::Typedef, "only", None), at("bee", 3));
        assert_eq!(find(Kind::Func, "late", Some("bee")), None);
        assert_eq!(find(Kind::Func, "only", None), None, "of another kind");
        assert_eq!(find(Kind::Typedef, "kernels", None), None, "the base's are no module's");
        std::fs::remove_dir_all(&folder).expect("it is ours");
    }

    #[test]
    fn names_that_were_meant() {
        let all = ["btf_trace_sched_switch", "btf_trace_sched_waking", "btf_trace_kfree", "sched_switch_"];
        let btf = types(Builder::new(), &["btf_trace_sched_switches"], &all);
        let near = |name| alike(&btf, Kind::Typedef, "btf_trace_", name);
        assert_eq!(near("sched_swich")[0], "sched_switch");
        assert_eq!(near("sched/sched_switch")[0], "sched_switch");
        assert_eq!(near("nothing_like_it"), [""; 0]);
    }

    #[test]
    fn what_is_given_stays_and_what_has_no_section_is_the_kernels_to_refuse() {
        let kernel = KernelTypes(OnceLock::from(Err("hidden".to_owned())));
        let bare = ProgramSpec::new(ProgramType::TRACING, Vec::new());
        assert_eq!(find(&bare, &kernel).expect("not looked for"), Point::default());
        let given = ProgramSpec { attach_btf_id: 7, attach_module: Some("bee".into()), ..bare.clone() };
        let point = find(&given, &kernel).expect("not looked for");
        assert_eq!(point, Point { id: 7, module: Some("bee".into()) });
        let named = |section: &str, target: Option<&str>| ProgramSpec {
            name: "p".into(),
            section: section.into(),
            attach_target: target.map(Into::into),
            ..bare.clone()
        };
        let e = find(&named("fentry/f", Some("f")), &kernel).expect_err("hidden");
        let begin = "SEC(\"fentry/f\") of program `p`: function f cannot be looked for";
        assert!(e.errno == Errno::ESRCH && e.message.starts_with(begin), "{e}");
        let e = find(&named("fentry", None), &kernel).expect_err("no name");
        assert!(e.errno == Errno::EINVAL && e.message.ends_with("write SEC(\"fentry/NAME\")"), "{e}");
        let ext = ProgramSpec { prog_type: ProgramType::EXT, ..named("freplace/f", Some("f")) };
        assert_eq!(find(&ext, &kernel).expect_err("not yet").errno, Errno::ENOTSUPP);
        let socket = ProgramSpec { prog_type: ProgramType::SOCKET_FILTER, ..named("socket", None) };
        assert_eq!(find(&socket, &kernel).expect("it belongs to no type"), Point::default());
    }
}
