//! Other compilers of eBPF: rbpf's and solana-sbpf's, the latter without its checks.
#![allow(unsafe_code)]

use std::ptr::NonNull;
use std::sync::Arc;

use solana_sbpf::elf::Executable;
use solana_sbpf::memory_region::MemoryMapping;
use solana_sbpf::program::{BuiltinProgram, FunctionRegistry, SBPFVersion};
use solana_sbpf::vm::{CallFrame, Config, ContextObject, EbpfVm, ExecutionMode};

/// rbpf's compiler over memory at `r1`, with a map behind a helper.
pub struct Rbpf<'t> {
    vm: rbpf::EbpfVmRaw<'t>,
    memory: &'t mut [u8],
}

impl<'t> Rbpf<'t> {
    /// Compiles bytecode; the reason, when they do not take it.
    pub fn new(
        text: &'t [u8],
        memory: &'t mut [u8],
        lookup: Option<rbpf::ebpf::Helper>,
    ) -> Result<Self, String> {
        let mut vm = rbpf::EbpfVmRaw::new(Some(text)).map_err(|e| e.to_string())?;
        if let Some(lookup) = lookup {
            vm.register_helper(crate::rbpf_map::LOOKUP, lookup).map_err(|e| e.to_string())?;
        }
        vm.jit_compile().map_err(|e| e.to_string())?;
        Ok(Self { vm, memory })
    }

    /// Runs it so many times; what the last run gave.
    pub fn run(&mut self, times: u32) -> u64 {
        let mut result = 0;
        for _ in 0..times {
            // SAFETY: the program accesses 512 bytes at its argument, a few of stack, and the counters of its helper.
            result = unsafe { self.vm.execute_program_jit(self.memory) }.expect("it was compiled");
        }
        result
    }
}

const VERSION: SBPFVersion = SBPFVersion::V3;

/// What a machine of theirs keeps for its owner.
struct Context {
    mapping: MemoryMapping,
}

impl ContextObject for Context {
    fn consume(&mut self, _: u64) {}

    fn get_remaining(&self) -> u64 {
        u64::MAX >> 1
    }

    fn active_mapping_ptr(&mut self) -> NonNull<MemoryMapping> {
        NonNull::from(&mut self.mapping)
    }
}

/// A program that solana-sbpf has compiled, without metering, translation of addresses and disguise of constants.
pub struct Sbpf {
    executable: Executable<Context>,
    loader: Arc<BuiltinProgram<Context>>,
    context: Context,
    frames: Vec<CallFrame>,
    stack: Vec<u64>,
    memory: Vec<u8>,
}

impl Sbpf {
    /// Compiles bytecode; the reason, when they do not take it.
    pub fn new(text: &[u8], memory: Vec<u8>) -> Result<Self, String> {
        let config = Config {
            enable_address_translation: false,
            enable_instruction_meter: false,
            noop_instruction_rate: 0,
            sanitize_user_provided_values: false,
            ..Config::default()
        };
        let loader = Arc::new(BuiltinProgram::new_loader(config.clone()));
        let registry = FunctionRegistry::default();
        let executable = Executable::new_from_text_bytes(text, Arc::clone(&loader), VERSION, registry)
            .map_err(|e| e.to_string())?;
        executable.verify::<solana_sbpf::verifier::RequisiteVerifier>().map_err(|e| e.to_string())?;
        executable.jit_compile().map_err(|e| e.to_string())?;
        // SAFETY: there are no regions.
        let mapping =
            unsafe { MemoryMapping::new(Vec::new(), &config, VERSION) }.map_err(|e| e.to_string())?;
        Ok(Self {
            executable,
            loader,
            context: Context { mapping },
            frames: vec![CallFrame::default(); config.max_call_depth],
            stack: vec![0; config.stack_size() / 8 + 1],
            memory,
        })
    }

    /// Runs it so many times; what the last run gave.
    pub fn run(&mut self, times: u32) -> u64 {
        let mut last = 0;
        let mut mode = ExecutionMode::Jit;
        for _ in 0..times {
            let mut vm = EbpfVm::new(Arc::clone(&self.loader), VERSION, &mut self.context, 4096);
            vm.registers[1] = self.memory.as_mut_ptr() as u64;
            vm.registers[10] = self.stack.as_mut_ptr() as u64 + 4096;
            let (_, result) = vm.execute_program(&self.executable, &mut mode, &mut self.frames);
            last = Result::from(result).expect("nothing is checked that could fail");
        }
        last
    }
}
