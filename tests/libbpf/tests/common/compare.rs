//! One object, opened and linked by both.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use libbpf_oracle::{How, Refused, View, inspect};
use skep_object::{Inputs, Object, Unlinked};

/// Why skep does not take an object: errors of the file, of programs that are loaded by default, and of maps.
fn ours(name: &str, bytes: &[u8], inputs: &Inputs<'_>) -> Result<Object, Vec<String>> {
    let object =
        Unlinked::parse(name, bytes).and_then(|u| u.link(inputs)).map_err(|e| vec![e.to_string()])?;
    let programs = object.programs.iter().filter(|p| p.autoload).filter_map(|p| p.spec.as_ref().err());
    let maps = object.maps.iter().filter_map(|m| m.def.as_ref().err());
    let errors: BTreeSet<_> = programs.chain(maps).map(ToString::to_string).collect();
    if errors.is_empty() { Ok(object) } else { Err(errors.into_iter().collect()) }
}

/// libbpf refuses a program without a type when it loads it.
fn theirs(path: &Path, all: bool) -> Result<View, Refused> {
    let view = inspect(path, How { all, ..How::default() })?;
    match view.programs.iter().find(|p| p.autoload && p.kind == 0) {
        None => Ok(view),
        Some(p) => Err(Refused { opened: true, messages: vec![format!("{}: no program type", p.name)] }),
    }
}

/// What was compared.
#[derive(Default)]
pub struct Score {
    pub objects: usize,
    pub programs: usize,
    pub maps: usize,
    pub insns: usize,
    pub refused: usize,
}

/// What differs for one object.
pub fn compare(path: &Path, name: &str, inputs: &Inputs<'_>, score: &mut Score) -> Vec<String> {
    let bytes = std::fs::read(path).expect("just written");
    score.objects += 1;
    let (ours, theirs_view) = match (ours(name, &bytes, inputs), theirs(path, false)) {
        (Ok(ours), Ok(theirs)) => (ours, theirs),
        (Err(ours), Err(theirs)) => {
            score.refused += 1;
            if std::env::var_os("VERBOSE").is_some() {
                println!("{name}: refused\n  {ours:?}\n  {:?}", theirs.messages);
            }
            return Vec::new();
        }
        (Ok(_), Err(r)) => {
            return vec![format!("we take it, libbpf does not (opened: {}): {:#?}", r.opened, r.messages)];
        }
        (Err(errors), Ok(_)) => return vec![format!("libbpf takes it, we do not: {errors:#?}")],
    };
    let mut view = View::of(&ours);
    score.programs += view.programs.len();
    score.maps += view.maps.len();
    score.insns +=
        view.programs.iter().filter_map(|p| p.linked.as_ref()).map(|l| l.insns.len()).sum::<usize>();
    // Zeros are not stored in the file.
    for m in &mut view.maps {
        let zero = |m: &libbpf_oracle::MapView| Some(vec![0; m.value_size as usize]);
        let data = theirs_view.maps.iter().find(|t| t.name == m.name).is_some_and(|t| t.initial.is_some());
        if data && m.initial.is_none() {
            m.initial = zero(m);
        }
    }
    let mut out = view.differences(&theirs_view);
    if view.programs.iter().any(|p| !p.autoload)
        && let Ok(all) = inspect(path, How { all: true, ..How::default() })
    {
        out.extend(view.differences(&all).into_iter().map(|d| format!("with all programs: {d}")));
    }
    out.sort();
    out.dedup();
    out
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { objects, programs, maps, insns, refused } = self;
        write!(
            f,
            "{objects} objects: {programs} programs of {insns} instructions and {maps} maps compared, {refused} objects \
             refused by both"
        )
    }
}
