//! The identity of what a proof holds for.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::fmt::{self, Write};

use skep_spec::{Environment, Fields, MapDef, ProgramSpec};

/// Identifies an environment together with the maps of a program: profile, rights, the program type, the
/// rows that an embedder adds, and geometry, flags and frozen contents of each map.
///
/// A 128-bit FNV-1a hash: it tells accidents apart, not attackers, who have no way to choose an environment.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(u128);

impl Digest {
    /// The digest of an environment and the maps of a program.
    pub fn of(spec: &ProgramSpec, env: &Environment) -> Self {
        let fields: Vec<_> = spec.maps.iter().map(|map| Rc::new(map.fields())).collect();
        Self::with(spec, env, &fields)
    }

    /// The same, by one who has found the fields of the program's maps, in their order, perhaps followed by others.
    pub(crate) fn with(spec: &ProgramSpec, env: &Environment, fields: &[Rc<Fields>]) -> Self {
        let mut h = Fnv(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d);
        h.bytes(&[env.profile as u8, env.capability as u8, u8::from(env.strict_alignment)]);
        h.bytes(&env.cpus.to_le_bytes());
        // skep's own rows are the same wherever a proof is: their number names them.
        h.bytes(&spec.prog_type.0.to_le_bytes());
        h.maybe(env.own_program_type(spec.prog_type));
        for helper in env.own_helpers() {
            h.maybe(Some(helper));
        }
        h.maybe(env.extended.as_ref().map(|e| (e.prog_type.0, &e.name)));
        // Nothing but a kernel runs what rests on its types.
        h.bytes(&spec.attach_btf_id.to_le_bytes());
        for (map, fields) in spec.maps.iter().zip(fields) {
            h.map(map, fields);
        }
        Self(h.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

struct Fnv(u128);

impl Fnv {
    fn bytes(&mut self, bytes: &[u8]) {
        for &b in bytes {
            self.0 = (self.0 ^ u128::from(b)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
        }
    }

    /// What most programs have none of: all that its text says.
    fn maybe(&mut self, value: Option<impl fmt::Debug>) {
        if let Some(value) = value {
            let _ = write!(self, "{value:?}");
        }
        self.bytes(&[0]);
    }

    fn map(&mut self, map: &MapDef, fields: &Fields) {
        for n in [map.kind.0, map.key_size, map.value_size, map.max_entries, map.flags.0] {
            self.bytes(&n.to_le_bytes());
        }
        self.bytes(&map.map_extra.to_le_bytes());
        self.bytes(&[u8::from(map.frozen)]);
        if map.frozen {
            self.bytes(map.initial.as_deref().unwrap_or(&[]));
        }
        self.maybe((*fields != Fields::default()).then_some(fields));
        if let Some(inner) = &map.inner {
            self.map(inner, &inner.fields());
        }
    }
}

impl Write for Fnv {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        self.bytes(s.as_bytes());
        Ok(())
    }
}
