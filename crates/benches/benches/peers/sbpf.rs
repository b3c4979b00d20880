//! solana-sbpf's interpreter: SBPF v3, with its metering and its address translation on.

use std::ptr::NonNull;
use std::sync::Arc;

use solana_sbpf::aligned_memory::AlignedMemory;
use solana_sbpf::ebpf::{HOST_ALIGN, MM_INPUT_START, MM_STACK_START};
use solana_sbpf::elf::Executable;
use solana_sbpf::memory_region::{MemoryMapping, MemoryRegion};
use solana_sbpf::program::{BuiltinProgram, FunctionRegistry, SBPFVersion};
use solana_sbpf::verifier::RequisiteVerifier;
use solana_sbpf::vm::{CallFrame, Config, ContextObject, EbpfVm, ExecutionMode};

const VERSION: SBPFVersion = SBPFVersion::V3;

/// What a machine of theirs keeps for its owner.
struct Context {
    remaining: u64,
    mapping: MemoryMapping,
}

impl ContextObject for Context {
    fn consume(&mut self, amount: u64) {
        self.remaining = self.remaining.saturating_sub(amount);
    }

    fn get_remaining(&self) -> u64 {
        self.remaining
    }

    fn active_mapping_ptr(&mut self) -> NonNull<MemoryMapping> {
        NonNull::from(&mut self.mapping)
    }
}

/// A program in their form, with its memory at `r1`.
pub struct Sbpf {
    executable: Executable<Context>,
    loader: Arc<BuiltinProgram<Context>>,
    context: Context,
    stack_len: usize,
    frames: Vec<CallFrame>,
    // Named by `context.mapping`.
    _stack: AlignedMemory<HOST_ALIGN>,
    _memory: Vec<u8>,
}

impl Sbpf {
    /// Loads bytecode; the reason, when they do not take it.
    pub fn new(text: &[u8], mut memory: Vec<u8>) -> Result<Self, String> {
        let config = Config::default();
        let loader = Arc::new(BuiltinProgram::new_loader(config.clone()));
        let registry = FunctionRegistry::default();
        let executable = Executable::new_from_text_bytes(text, Arc::clone(&loader), VERSION, registry)
            .map_err(|e| e.to_string())?;
        executable.verify::<RequisiteVerifier>().map_err(|e| e.to_string())?;
        let stack_len = config.stack_size();
        let mut stack = AlignedMemory::<HOST_ALIGN>::zero_filled(stack_len);
        let regions = vec![
            MemoryRegion::new(std::ptr::from_mut(stack.as_slice_mut()), MM_STACK_START),
            MemoryRegion::new(std::ptr::from_mut(memory.as_mut_slice()), MM_INPUT_START),
        ];
        // SAFETY: both regions are heap memory that `Self` owns beside the mapping, never moves and never touches
        // itself.
        let mapping = unsafe { MemoryMapping::new(regions, &config, VERSION) }.map_err(|e| e.to_string())?;
        Ok(Self {
            executable,
            loader,
            context: Context { remaining: 0, mapping },
            stack_len,
            frames: vec![CallFrame::default(); config.max_call_depth],
            _stack: stack,
            _memory: memory,
        })
    }

    /// Runs once; gives `r0` and how many instructions were executed.
    pub fn run(&mut self) -> Result<(u64, u64), String> {
        self.context.remaining = 1 << 40;
        let loader = Arc::clone(&self.loader);
        let mut vm = EbpfVm::new(loader, VERSION, &mut self.context, self.stack_len);
        vm.registers[1] = MM_INPUT_START;
        let mut mode = ExecutionMode::Interpreted;
        let (count, result) = vm.execute_program(&self.executable, &mut mode, &mut self.frames);
        Result::from(result).map(|r0| (r0, count)).map_err(|e| e.to_string())
    }
}
