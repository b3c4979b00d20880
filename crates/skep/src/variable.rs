//! Global variables by name: of an object before it is loaded, and of what is loaded.

use std::sync::Arc;

use skep_btf::assign::{self, Input, Spot};
use skep_btf::print::{Options, Tree, tree_at};
use skep_btf::{Btf, Type, TypeId, VarLinkage};
use skep_spec::MapDef;

use crate::{Error, ErrorKind, FromTree, Loaded, Map, Object};

/// The key of the only value of a map of global data.
const KEY: [u8; 4] = 0u32.to_ne_bytes();

/// A global variable of an object, or a part of one: `limit`, `cfg.limits[3]`.
///
/// ```
/// use skep::{Backend, Object};
/// # if cfg!(target_endian = "big") { return Ok(()) }
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../object/tests/fixtures/variables.bpf.o");
/// let mut object = Object::open(path)?;
/// object.set_variable("which", 2)?;
/// assert!(object.set_variable("which", 1i64 << 40).is_err());
/// let loaded = object.load(&Backend::user())?;
/// assert_eq!(loaded.get_variable::<u32>("which")?, 2);
/// // What may change is written while programs run.
/// loaded.set_variable("count", 7)?;
/// assert_eq!(loaded.get_variable::<u64>("count")?, 7);
/// # Ok::<(), skep::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Variable {
    path: String,
    section: String,
    def: Arc<MapDef>,
    btf: Arc<Btf>,
    spot: Spot,
    is_static: bool,
}

impl Variable {
    /// Its name, or the path of a part as it was given.
    pub fn name(&self) -> &str {
        &self.path
    }

    /// The section that it stands in: `.rodata`, `.data`, `.bss`, `.kconfig`, or one of the object's own.
    pub fn section(&self) -> &str {
        &self.section
    }

    /// The map that holds the section.
    pub fn map(&self) -> &Arc<MapDef> {
        &self.def
    }

    /// Its type, as C spells it.
    pub fn type_name(&self) -> String {
        assign::type_name(&self.btf, self.spot.ty)
    }

    /// Its type: a number in [`Variable::btf`].
    pub fn type_id(&self) -> TypeId {
        self.spot.ty
    }

    /// The types of its object.
    pub fn btf(&self) -> &Arc<Btf> {
        &self.btf
    }

    /// Its first byte in the section.
    pub fn off_bytes(&self) -> usize {
        (self.spot.off_bits / 8) as usize
    }

    /// Its bytes.
    pub fn size(&self) -> usize {
        let bits = u64::from(self.spot.bitfield_bits);
        match self.btf.size_of(self.spot.ty) {
            _ if bits != 0 => ((self.spot.off_bits % 8 + bits).div_ceil(8)) as usize,
            size => size.unwrap_or(0) as usize,
        }
    }

    /// Whether it can be set only before the object is loaded.
    pub fn is_constant(&self) -> bool {
        self.def.frozen
    }

    /// Whether it is seen in its file only.
    pub fn is_static(&self) -> bool {
        self.is_static
    }

    /// What may be stored in it, in words.
    pub fn fits(&self) -> String {
        assign::fits(&self.btf, self.spot)
    }

    /// The variable that a path begins with, and the part of it that the rest names.
    fn find(object: &str, maps: &[Arc<MapDef>], path: &str) -> Result<Self, Error> {
        let (section, rest) = match path.split_once(':') {
            Some((section, rest)) => (Some(section), rest),
            None => (None, path),
        };
        let begins = |v: &Self| {
            let tail = rest.strip_prefix(&v.path)?;
            (tail.is_empty() || tail.starts_with(['.', '['])).then_some(v.path.len())
        };
        let all = Self::all(maps);
        let of_section = |v: &&Self| section.is_none_or(|s| s == v.section);
        // Names have dots too: those of static variables of functions.
        let longest = all.iter().filter(of_section).filter_map(begins).max();
        let mut found = all.iter().filter(of_section).filter(|v| longest.is_some() && begins(v) == longest);
        match (found.next(), found.next()) {
            (Some(v), None) => v.part(path, &rest[v.path.len()..]),
            (Some(one), Some(other)) => Err(Error::new(
                ErrorKind::Usage,
                format!(
                    "`{object}` has two variables `{path}`: write `{}:{path}` or `{}:{path}`",
                    one.section, other.section
                ),
            )),
            (None, _) => {
                let have = match all.iter().map(|v| v.path.as_str()).collect::<Vec<_>>() {
                    names if names.is_empty() => {
                        "none: global variables need BTF, so compile with -g".to_owned()
                    }
                    names => names.join(", "),
                };
                Err(Error::new(
                    ErrorKind::NotFound,
                    format!("`{object}` has no variable `{path}`; it has {have}"),
                ))
            }
        }
    }

    fn part(&self, path: &str, rest: &str) -> Result<Self, Error> {
        let part = assign::locate(&self.btf, self.spot.ty, rest)
            .map_err(|e| Error::new(ErrorKind::NotFound, format!("{}: {e}", self.words())).caused_by(e))?;
        let spot = Spot { off_bits: self.spot.off_bits + part.off_bits, ..part };
        Ok(Self { path: path.to_owned(), spot, ..self.clone() })
    }

    /// All variables of maps of global data, in order.
    fn all(maps: &[Arc<MapDef>]) -> Vec<Self> {
        let mut out = Vec::new();
        for def in maps {
            let Some(btf) = &def.btf else { continue };
            let Some(Type::Datasec { name, entries, .. }) = btf.ty(TypeId(def.value_btf_id)) else {
                continue;
            };
            for e in entries {
                let Some(&Type::Var { name: var, ty, linkage }) = btf.ty(e.ty) else { continue };
                let inside = u64::from(e.off_bytes) + u64::from(btf.size_of(ty).unwrap_or(0));
                if inside > u64::from(def.value_size) {
                    continue; // BTF that contradicts the section
                }
                out.push(Self {
                    path: btf.str(var).to_owned(),
                    section: btf.str(*name).to_owned(),
                    def: Arc::clone(def),
                    btf: Arc::clone(btf),
                    spot: Spot { off_bits: u64::from(e.off_bytes) * 8, ..Spot::whole(ty) },
                    is_static: linkage == VarLinkage::Static,
                });
            }
        }
        out
    }

    fn words(&self) -> String {
        format!("variable `{}` ({}, {})", self.path, self.type_name(), self.section)
    }

    #[cold]
    fn misfit(&self, e: assign::Misfit) -> Error {
        Error::new(ErrorKind::Usage, format!("{}: {e}", self.words())).caused_by(e)
    }

    /// The value in the bytes of the section.
    fn tree(&self, bytes: &[u8]) -> Result<Tree, Error> {
        tree_at(&self.btf, self.spot, bytes, &Options::default())
            .map_err(|e| Error::new(ErrorKind::Damaged, format!("{}: {e}", self.words())).caused_by(e))
    }

    fn get<T: FromTree>(&self, bytes: &[u8]) -> Result<T, Error> {
        let tree = self.tree(bytes)?;
        T::from_tree(&tree).ok_or_else(|| {
            let words =
                format!("{}: it holds {tree}, which is no `{}`", self.words(), std::any::type_name::<T>());
            Error::new(ErrorKind::Usage, words)
        })
    }

    /// Its bytes among those of the section.
    fn slice<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        bytes.get(self.off_bytes()..self.off_bytes() + self.size()).unwrap_or(&[])
    }

    fn store(&self, input: &Input, bytes: &mut [u8]) -> Result<(), Error> {
        assign::store(&self.btf, self.spot, input, bytes, Options::default()).map_err(|e| self.misfit(e))
    }

    fn parse(&self, text: &str) -> Result<Input, Error> {
        assign::parse_for(&self.btf, self.spot, text).map_err(|e| self.misfit(e))
    }
}

/// What a section holds before anything runs.
fn initial(def: &MapDef) -> Vec<u8> {
    let mut bytes = def.initial.clone().unwrap_or_default();
    bytes.resize(def.value_size as usize, 0);
    bytes
}

impl Object {
    /// All global variables, by section and place.
    pub fn variables(&self) -> Vec<Variable> {
        Variable::all(&self.maps)
    }

    /// A global variable by its name, or a part of it by a path of members and elements: `cfg.limits[3]`. Of two of one
    /// name `SECTION:name` tells which.
    ///
    /// # Errors
    /// `NotFound` with the names there are.
    pub fn variable(&self, path: &str) -> Result<Variable, Error> {
        Variable::find(&self.name, &self.maps, path)
    }

    /// The value that a variable has when the object is loaded.
    ///
    /// # Errors
    /// As [`Object::variable`]; `Usage` when it is of another type.
    pub fn get_variable<T: FromTree>(&self, path: &str) -> Result<T, Error> {
        let v = self.variable(path)?;
        v.get(&initial(&v.def))
    }

    /// The bytes that a variable has when the object is loaded.
    ///
    /// # Errors
    /// As [`Object::variable`].
    pub fn variable_bytes(&self, path: &str) -> Result<Vec<u8>, Error> {
        let v = self.variable(path)?;
        Ok(v.slice(&initial(&v.def)).to_vec())
    }

    /// Sets a variable before the object is loaded: a constant (`.rodata`, `.kconfig`) is one to the verifier, which
    /// leaves out what it rules out.
    ///
    /// Numbers fit by their range, enumerators go by number or name, text goes into arrays of characters, arrays and
    /// vectors into arrays; [`Input::Bytes`] are taken as they are.
    ///
    /// # Errors
    /// As [`Object::variable`]; `Usage` for what does not fit, with what does.
    pub fn set_variable(&mut self, path: &str, value: impl Into<Input>) -> Result<(), Error> {
        let v = self.variable(path)?;
        self.store(&v, &value.into())
    }

    /// As [`Object::set_variable`], with a value as C writes it: `5`, `-1`, `0x10`, `true`, `TCP`, `text`, `{1, 2}`,
    /// `{.limit = 5}`.
    ///
    /// # Errors
    /// As there, and for what is no value.
    pub fn set_variable_text(&mut self, path: &str, text: &str) -> Result<(), Error> {
        let v = self.variable(path)?;
        let input = v.parse(text)?;
        self.store(&v, &input)
    }

    fn store(&mut self, v: &Variable, input: &Input) -> Result<(), Error> {
        let mut bytes = initial(&v.def);
        v.store(input, &mut bytes)?;
        self.change_def(&v.def, |def| def.initial = Some(bytes));
        Ok(())
    }
}

impl Loaded {
    fn live(&self, path: &str) -> Result<(Variable, &Map), Error> {
        let defs: Vec<Arc<MapDef>> = self.maps().iter().map(|m| Arc::clone(m.def())).collect();
        let v = Variable::find("what is loaded", &defs, path)?;
        let map = self.maps().iter().find(|m| Arc::ptr_eq(m.def(), &v.def));
        map.map(|m| (v, m)).ok_or_else(|| Error::new(ErrorKind::NotFound, format!("`{path}` has no map")))
    }

    fn section(map: &Map) -> Result<Vec<u8>, Error> {
        let missing = || Error::new(ErrorKind::NotFound, format!("map `{}` has no value", map.name()));
        map.lookup(&KEY)?.ok_or_else(missing)
    }

    /// All global variables.
    pub fn variables(&self) -> Vec<Variable> {
        let defs: Vec<Arc<MapDef>> = self.maps().iter().map(|m| Arc::clone(m.def())).collect();
        Variable::all(&defs)
    }

    /// The value of a variable now; paths are those of [`Object::variable`].
    ///
    /// # Errors
    /// As [`Object::get_variable`], and as `BPF_MAP_LOOKUP_ELEM`.
    pub fn get_variable<T: FromTree>(&self, path: &str) -> Result<T, Error> {
        let (v, map) = self.live(path)?;
        v.get(&Self::section(map)?)
    }

    /// The bytes of a variable now.
    ///
    /// # Errors
    /// As [`Loaded::get_variable`].
    pub fn variable_bytes(&self, path: &str) -> Result<Vec<u8>, Error> {
        let (v, map) = self.live(path)?;
        Ok(v.slice(&Self::section(map)?).to_vec())
    }

    /// Sets a variable while programs may run; what stands beside it stays as programs write it. Bit-fields are read and
    /// written with the bytes that they are in.
    ///
    /// In the kernel this holds for sections with a variable that is not static: others cannot be mapped, and are read
    /// and written as a whole.
    ///
    /// # Errors
    /// As [`Object::set_variable`]; `Usage` for constants.
    pub fn set_variable(&self, path: &str, value: impl Into<Input>) -> Result<(), Error> {
        let (v, map) = self.live(path)?;
        Self::store(&v, map, &value.into())
    }

    /// As [`Loaded::set_variable`], with a value as [`Object::set_variable_text`] takes it.
    ///
    /// # Errors
    /// As there.
    pub fn set_variable_text(&self, path: &str, text: &str) -> Result<(), Error> {
        let (v, map) = self.live(path)?;
        let input = v.parse(text)?;
        Self::store(&v, map, &input)
    }

    fn store(v: &Variable, map: &Map, input: &Input) -> Result<(), Error> {
        if v.is_constant() {
            let words = format!("{}: it is constant once it is loaded: set it before", v.words());
            return Err(Error::new(ErrorKind::Usage, words));
        }
        let mut bytes = Self::section(map)?;
        v.store(input, &mut bytes)?;
        map.inner
            .write_value(&KEY, v.off_bytes(), v.slice(&bytes))
            .map_err(|e| Error::system(format_args!("{}", v.words()), e))
    }
}
