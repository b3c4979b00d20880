//! Accessors of global variables, by section.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use skep_btf::assign::type_name;
use skep_btf::{Btf, Kind, Type, TypeId};
use skep_spec::MapDef;

use crate::names::{Unique, camel, item, part};
use crate::types::Types;

/// A section with variables.
pub(crate) struct Section {
    pub(crate) name: String,
    constant: bool,
    /// The method of the skeleton that gives it: `data_own` for `.data.own`.
    pub(crate) method: String,
    /// Its struct; the one before loading has `Before` behind it.
    pub(crate) type_name: String,
    vars: Vec<(String, TypeId)>,
}

/// The section that a map holds, if it holds one.
pub(crate) fn section(btf: &Btf, def: &Arc<MapDef>) -> Option<Section> {
    of_type(btf, TypeId(def.value_btf_id), def.frozen)
}

/// The options of the kernel's configuration that an object names. They are a section though nobody has said yet what
/// they are, and so there is no map.
pub(crate) fn kconfig(btf: &Btf) -> Option<Section> {
    of_type(btf, btf.find_by_name(Some(Kind::Datasec), ".kconfig")?, true)
}

fn of_type(btf: &Btf, ty: TypeId, constant: bool) -> Option<Section> {
    let Some(Type::Datasec { name, entries, .. }) = btf.ty(ty) else { return None };
    let vars = entries.iter().filter_map(|e| match btf.ty(e.ty) {
        Some(Type::Var { name, ty, .. }) => Some((btf.str(*name).to_owned(), *ty)),
        _ => None,
    });
    let name = btf.str(*name);
    Some(Section {
        name: name.into(),
        constant,
        method: item(&part(name)),
        type_name: camel(&part(name)),
        vars: vars.collect(),
    })
}

impl Section {
    /// Two structs: of the section before loading, and of the live one.
    pub(crate) fn code(&self, btf: &Btf, types: &mut Types<'_>) -> String {
        let name = &self.type_name;
        let (mut before, mut live) = (String::new(), String::new());
        let mut unique = Unique::default();
        let mut count: BTreeMap<&str, u32> = BTreeMap::new();
        self.vars.iter().for_each(|(v, _)| *count.entry(v).or_default() += 1);
        for (var, ty) in &self.vars {
            let Some(rust) = types.rust(*ty, var).filter(|r| !r.ends_with("; 0]")) else { continue };
            // Static variables of files that were linked: the name does not say which.
            if count[&**var] > 1 {
                continue;
            }
            let getter = unique.take(item(var));
            let setter = unique.take(item(&format!("set_{}", part(var))));
            let (c, size) = (type_name(btf, *ty), btf.size_of(*ty).unwrap_or(0));
            let path = format!("{}:{var}", self.name);
            let (read, write) = (types.read(*ty, "0", 0), types.write(*ty, "value", "0", 0));
            let get = format!(
                "    /// `{c} {var}`\n    pub fn {getter}(&self) -> ::core::result::Result<{rust}, ::skep::Error> {{\n        \
                 let b = &*self.0.variable_bytes({path:?})?;\n        ::core::result::Result::Ok({read})\n    }}\n"
            );
            let set = |receiver: &str| {
                format!(
                    "    /// Sets `{var}`.\n    pub fn {setter}({receiver}, value: {rust}) -> \
                     ::core::result::Result<(), ::skep::Error> {{\n        let b = &mut [0; {size}][..];\n        \
                     {write}\n        self.0.set_variable({path:?}, ::skep::Input::Bytes(b.to_vec()))\n    }}\n"
                )
            };
            // Writing to a String cannot fail.
            let _ = write!(before, "{get}\n{}\n", set("&mut self"));
            let _ = writeln!(live, "{get}");
            if !self.constant {
                let _ = writeln!(live, "{}", set("&self"));
            }
        }
        let section = &self.name;
        format!(
            "/// Variables of `{section}` before loading.\n#[derive(Debug)]\n\
             pub struct {name}Before<'a>(&'a mut ::skep::Object);\n\nimpl {name}Before<'_> {{\n{before}}}\n\n\
             /// Variables of `{section}` while programs run.\n#[derive(Debug)]\n\
             pub struct {name}<'a>(&'a ::skep::Loaded);\n\nimpl {name}<'_> {{\n{live}}}\n\n"
        )
    }
}
