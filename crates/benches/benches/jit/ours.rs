//! skep's engines.

use std::sync::Arc;

use skep_abi::MapType;
use skep_jit::{Options, compile};
use skep_maps::{Config, Heap, Keeper, Map};
use skep_spec::{Environment, MapDef, ProgramSpec};
use skep_verifier::verify;
use skep_vm::{Host, Program, Programs, Run, Stack};

/// A program over maps, in one of the engines.
pub struct Ours {
    program: Program,
    stack: Stack,
    ctx: Vec<u8>,
}

/// Maps of a program, by their definitions.
pub fn maps(defs: &[Arc<MapDef>]) -> Vec<Arc<Map>> {
    let keeper = Arc::new(Keeper::new(std::thread::yield_now).expect("memory"));
    let create = |def: &Arc<MapDef>| {
        Map::create_kept(def, &Config::new(1), &Heap, &|| Ok(Arc::clone(&keeper))).expect("it is small")
    };
    defs.iter().map(create).collect()
}

/// The map of a name.
pub fn named<'m>(maps: &'m [Arc<Map>], spec: &ProgramSpec, name: &str) -> Option<&'m Arc<Map>> {
    spec.maps.iter().position(|m| m.name == name).map(|at| &maps[at])
}

impl Ours {
    /// A program, compiled if options say how.
    pub fn new(spec: &ProgramSpec, maps: &[Arc<Map>], options: Option<&Options>) -> Result<Self, String> {
        let env = Environment::default();
        let verified = verify(spec, &env, &skep_verifier::Options::default()).map_err(|e| e.to_string())?;
        let program = Program::new(&verified, &env, maps.to_vec()).map_err(|e| e.to_string())?;
        if let Some(options) = options {
            let (native, _) = compile(&program, options).map_err(|e| e.to_string())?;
            program.set_native(native).map_err(|_| "it has native code already".to_owned())?;
        }
        Ok(Self { program, stack: Stack::new(), ctx: vec![0; 256] })
    }

    /// The program under an id, for program arrays.
    pub fn with_id(self, id: u32) -> Program {
        self.program.with_id(id)
    }

    /// Runs it so many times; what the last run gave.
    pub fn run(&mut self, host: &dyn Host, programs: Option<&dyn Programs>, times: u32) -> u64 {
        let mut result = 0;
        for _ in 0..times {
            let mut run = Run::new(&mut self.stack, host).with_ctx(&mut self.ctx);
            if let Some(programs) = programs {
                run = run.with_programs(programs);
            }
            result = self.program.run(&mut run).expect("it was verified").r0;
        }
        result
    }
}

/// Whether a map's contents can be put in: program arrays get theirs elsewhere.
pub fn is_data(map: &Map) -> bool {
    map.kind() != MapType::PROG_ARRAY
}
