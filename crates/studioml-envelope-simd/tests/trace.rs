//! No branch and no address depends on a secret, seen on the CPU itself: each operation is run one instruction at a time, by
//! `ptrace`, under different keys and plaintexts, and everything that an attacker beside it could learn must be the same: which
//! instructions ran, and which addresses they touched.
//!
//! It runs the machine code that was compiled, on every path, AVX-512 among them, which Valgrind does not know. It shows what
//! the secrets it tried made of it: a dependence that none of them shows stays unseen. The path on which the verdict is
//! reached is the same for every secret; the verdict itself is public.
//!
//! The same traces show whether the compiler has left vectors unaligned on the stack, which costs half the speed.
#![cfg(all(target_arch = "x86_64", target_os = "linux", not(miri)))]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod peers;

use std::arch::asm;
use std::hint::black_box;
use std::ptr::null_mut;

use iced_x86::{Code, Decoder, DecoderOptions, Instruction, InstructionInfoFactory, Register};
use libc::{c_int, pid_t, user_regs_struct};
use peers::{Bytes, paths};
use studioml_envelope_core::{Nonce, SecretBox, SessionKey, Tag};
use studioml_envelope_simd::hazmat::Path;

/// An instruction that ran, and an address that it touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Step {
    instruction: u64,
    /// 0 if it touched none; the sum of several.
    address: u64,
}

/// What one run showed.
#[derive(Default)]
struct Trace {
    steps: Vec<Step>,
    /// Vectors of 32 or 64 bytes on the stack, at addresses that are not multiples of that.
    unaligned: usize,
    /// The widest register in bytes.
    widest: usize,
}

/// Runs `secret_work` in a child, one instruction at a time.
fn trace(secret_work: &mut dyn FnMut()) -> Trace {
    // SAFETY: the child runs `secret_work`, which neither allocates nor takes a lock, and ends without returning.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "fork: {}", std::io::Error::last_os_error());
    if child == 0 {
        // SAFETY: lets the parent watch; a child that cannot be watched ends at its first breakpoint.
        unsafe {
            libc::ptrace(libc::PTRACE_TRACEME, 0, null_mut::<u8>(), null_mut::<u8>());
            asm!("int3");
        }
        secret_work();
        // SAFETY: the parent has seen enough when it meets this.
        unsafe {
            asm!("int3");
            libc::_exit(0)
        }
    }
    let trace = watch(child);
    // SAFETY: our own child, which is stopped.
    unsafe {
        libc::kill(child, libc::SIGKILL);
        libc::waitpid(child, null_mut(), 0);
    }
    trace
}

/// Steps the child from its first breakpoint to the second.
fn watch(child: pid_t) -> Trace {
    let mut trace = Trace::default();
    let mut decode = Decode { info: InstructionInfoFactory::new(), known: std::collections::HashMap::new() };
    stopped(child);
    let top = registers(child).rsp;
    loop {
        let registers = registers(child);
        let instruction = decode.at(registers.rip);
        if instruction.code() == Code::Int3 {
            return trace;
        }
        let address = decode.addresses(&instruction, &registers, top, &mut trace);
        trace.steps.push(Step { instruction: registers.rip, address });
        assert!(trace.steps.len() < 20_000_000, "it does not end");
        if instruction.has_rep_prefix() && instruction.is_string_instruction() {
            // One address and the count say all of it; stepped, each byte would be a stop.
            trace.steps.push(Step { instruction: registers.rip, address: registers.rcx });
            run_to(child, instruction.next_ip());
        } else {
            go(child, libc::PTRACE_SINGLESTEP);
        }
    }
}

/// Lets the child go on until it stops again.
fn go(child: pid_t, how: libc::c_uint) {
    // SAFETY: our own child, which is stopped.
    let status = unsafe { libc::ptrace(how, child, null_mut::<u8>(), null_mut::<u8>()) };
    assert_eq!(status, 0, "ptrace: {}", std::io::Error::last_os_error());
    stopped(child);
}

/// Lets the child run until it is about to run the instruction at `address`.
fn run_to(child: pid_t, address: u64) {
    let at = address as *mut u8;
    // SAFETY: our own child, which is stopped; its memory is a copy of ours.
    let code = unsafe { libc::ptrace(libc::PTRACE_PEEKTEXT, child, at, null_mut::<u8>()) };
    let breakpoint = code & !0xff | 0xcc;
    // SAFETY: as above.
    unsafe { libc::ptrace(libc::PTRACE_POKETEXT, child, at, breakpoint) };
    go(child, libc::PTRACE_CONT);
    let mut registers = registers(child);
    assert_eq!(registers.rip, address + 1);
    registers.rip = address;
    // SAFETY: as above.
    unsafe {
        libc::ptrace(libc::PTRACE_POKETEXT, child, at, code);
        libc::ptrace(libc::PTRACE_SETREGS, child, null_mut::<u8>(), &raw const registers);
    }
}

/// Waits for the child to stop at a breakpoint or after a step.
fn stopped(child: pid_t) {
    let mut status: c_int = 0;
    // SAFETY: our own child; the status is written.
    let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!(waited, child, "waitpid: {}", std::io::Error::last_os_error());
    assert!(
        libc::WIFSTOPPED(status) && libc::WSTOPSIG(status) == libc::SIGTRAP,
        "the child cannot be traced (status {status:#x}): this test needs ptrace"
    );
}

fn registers(child: pid_t) -> user_regs_struct {
    // SAFETY: integers, of which every bit pattern is valid; filled by the call.
    unsafe {
        let mut registers: user_regs_struct = std::mem::zeroed();
        let status = libc::ptrace(libc::PTRACE_GETREGS, child, null_mut::<u8>(), &raw mut registers);
        assert_eq!(status, 0, "ptrace: {}", std::io::Error::last_os_error());
        registers
    }
}

struct Decode {
    info: InstructionInfoFactory,
    known: std::collections::HashMap<u64, Instruction>,
}

impl Decode {
    /// The child was forked off this process: what it runs stands at the same address here.
    fn at(&mut self, address: u64) -> Instruction {
        *self.known.entry(address).or_insert_with(|| {
            // SAFETY: an instruction that is about to run is mapped, and its page has been run from. One that ends with the
            // last page of a mapping would be read beyond it, but behind code there is other read-only data.
            let bytes = unsafe { std::slice::from_raw_parts(address as *const u8, 15) };
            Decoder::with_ip(64, bytes, address, DecoderOptions::NONE).decode()
        })
    }

    /// The sum of the addresses that `instruction` touches. Notes what [`Trace`] keeps of widths and alignment.
    fn addresses(
        &mut self,
        instruction: &Instruction,
        registers: &user_regs_struct,
        top: u64,
        trace: &mut Trace,
    ) -> u64 {
        assert!(!instruction.is_invalid(), "no instruction at {:#x}", registers.rip);
        let info = self.info.info(instruction);
        for used in info.used_registers() {
            trace.widest = trace.widest.max(used.register().size());
        }
        let mut sum = 0_u64;
        for memory in info.used_memory() {
            let address = memory.virtual_address(0, |register, _, _| value(register, registers));
            let Some(address) = address else { panic!("{instruction:?} takes its address from a vector") };
            sum = sum.wrapping_add(address);
            let size = memory.memory_size().size() as u64;
            let on_the_stack = (top - 64 * 1024..top).contains(&address);
            if on_the_stack && size >= 32 && !address.is_multiple_of(size) {
                trace.unaligned += 1;
            }
        }
        sum
    }
}

/// A general register; `None` for a vector.
fn value(register: Register, registers: &user_regs_struct) -> Option<u64> {
    let whole = match register.full_register() {
        Register::RAX => registers.rax,
        Register::RBX => registers.rbx,
        Register::RCX => registers.rcx,
        Register::RDX => registers.rdx,
        Register::RSI => registers.rsi,
        Register::RDI => registers.rdi,
        Register::RSP => registers.rsp,
        Register::RBP => registers.rbp,
        Register::R8 => registers.r8,
        Register::R9 => registers.r9,
        Register::R10 => registers.r10,
        Register::R11 => registers.r11,
        Register::R12 => registers.r12,
        Register::R13 => registers.r13,
        Register::R14 => registers.r14,
        Register::R15 => registers.r15,
        Register::FS => registers.fs_base,
        Register::GS => registers.gs_base,
        Register::CS | Register::DS | Register::ES | Register::SS => 0,
        _ => return None,
    };
    Some(match register.size() {
        4 if !register.is_segment_register() => whole & 0xffff_ffff,
        _ => whole,
    })
}

/// What must not be told from the outside: everything but the nonce and the lengths.
struct Secrets {
    key: [u8; 32],
    plaintext: Vec<u8>,
}

/// Extremes, and bytes without a pattern.
fn secrets(len: usize, random: u64) -> Vec<Secrets> {
    let mut all = vec![
        Secrets { key: [0; 32], plaintext: vec![0; len] },
        Secrets { key: [0xff; 32], plaintext: vec![0xff; len] },
    ];
    let mut bytes = Bytes(len as u64);
    all.extend((0..random).map(|_| Secrets { key: bytes.array(), plaintext: bytes.vec(len) }));
    all
}

const NONCE: Nonce = [0x24; 24];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Operation {
    Seal,
    SealInPieces,
    Open,
    Refuse,
}

const OPERATIONS: [Operation; 4] = [Operation::Seal, Operation::SealInPieces, Operation::Open, Operation::Refuse];

/// The buffers of one message: the same ones for every secret, so that their addresses are the same.
struct Buffers {
    key: Box<SessionKey>,
    text: Vec<u8>,
    sealed: Vec<u8>,
    tag: Tag,
}

impl Buffers {
    fn new(len: usize) -> Self {
        Self { key: Box::new(SessionKey::from_bytes([0; 32])), text: vec![0; len], sealed: vec![0; len], tag: [0; 16] }
    }

    fn fill(&mut self, operation: Operation, secrets: &Secrets) {
        *self.key = SessionKey::from_bytes(secrets.key);
        self.text.copy_from_slice(&secrets.plaintext);
        if matches!(operation, Operation::Open | Operation::Refuse) {
            self.tag = peers::crypto_secretbox(&secrets.key, &NONCE, &mut self.text);
        }
        if operation == Operation::Refuse {
            self.tag[0] ^= 1;
        }
    }

    fn run(&mut self, operation: Operation, part: &dyn SecretBox) {
        let Self { key, text, sealed, tag } = self;
        match operation {
            Operation::Seal => *tag = part.seal_in_place(key, &NONCE, text),
            Operation::SealInPieces => {
                let mut at = 0;
                *tag = part.seal_chunks(key, &NONCE, text, &mut |piece| {
                    if let Some(to) = sealed.get_mut(at..at + piece.len()) {
                        to.copy_from_slice(piece);
                    }
                    at += piece.len();
                });
            }
            Operation::Open => _ = black_box(part.open_in_place(key, &NONCE, tag, text)),
            Operation::Refuse => _ = black_box(part.open_in_place(key, &NONCE, tag, text)),
        }
    }
}

/// Every way through the kernels; fewer for the portable path, which takes ten times as many instructions.
fn lengths(path: Path) -> &'static [usize] {
    match path {
        Path::Portable => &[0, 33, 300],
        _ => &[0, 1, 33, 300, 353, 740, 1057, 1700, 1956, 2500, 5000],
    }
}

fn no_dependence(path: Path, part: &dyn SecretBox) {
    for operation in OPERATIONS {
        for len in lengths(path) {
            let mut buffers = Buffers::new(*len);
            // What is looked up once per process is looked up before.
            buffers.fill(operation, &secrets(*len, 0)[0]);
            buffers.run(operation, part);
            let mut first: Option<Trace> = None;
            for (index, secrets) in secrets(*len, 1).iter().enumerate() {
                buffers.fill(operation, secrets);
                let trace = trace(&mut || buffers.run(operation, part));
                let at = || format!("{}, {operation:?}, {len} bytes, secret {index}", path.name());
                assert!(trace.steps.len() > 500, "{}: only {} steps", at(), trace.steps.len());
                let Some(first) = &first else {
                    let expected = match path {
                        Path::Portable => 0,
                        Path::Avx2 => 32,
                        Path::Avx512Ifma => 64,
                    };
                    assert!(trace.widest >= expected, "{}: no vectors of {expected} bytes", at());
                    first = Some(trace);
                    continue;
                };
                let parts = first.steps.iter().zip(&trace.steps).position(|(one, other)| one != other);
                if let Some(step) = parts {
                    panic!("{}: step {step} is {:x?} and {:x?}", at(), first.steps[step], trace.steps[step]);
                }
                assert_eq!(first.steps.len(), trace.steps.len(), "{}", at());
            }
        }
    }
}

fn the_part(path: Path) -> Option<&'static dyn SecretBox> {
    paths().into_iter().find(|(known, _)| *known == path).map(|(_, part)| part)
}

#[test]
fn portable_steps_do_not_depend_on_secrets() {
    no_dependence(Path::Portable, the_part(Path::Portable).unwrap());
}

#[test]
fn avx2_steps_do_not_depend_on_secrets() {
    if let Some(part) = the_part(Path::Avx2) {
        no_dependence(Path::Avx2, part);
    }
}

#[test]
fn avx512_steps_do_not_depend_on_secrets() {
    if let Some(part) = the_part(Path::Avx512Ifma) {
        no_dependence(Path::Avx512Ifma, part);
    }
}

/// The kernels' own vectors on the stack: spilled ones stand in loops, so unaligned ones would grow with the message.
#[test]
fn vectors_on_the_stack_are_aligned() {
    for (path, part) in paths().into_iter().filter(|(path, _)| *path != Path::Portable) {
        for operation in [Operation::Seal, Operation::Open] {
            for len in [2_500, 18_001] {
                let mut buffers = Buffers::new(len);
                buffers.fill(operation, &secrets(len, 0)[0]);
                buffers.run(operation, part);
                buffers.fill(operation, &secrets(len, 0)[0]);
                let trace = trace(&mut || buffers.run(operation, part));
                // The first blocks of key stream begin behind the MAC key, 32 bytes into them.
                assert!(
                    trace.unaligned <= 64,
                    "{}, {operation:?}, {len} bytes: {} unaligned vectors on the stack",
                    path.name(),
                    trace.unaligned
                );
            }
        }
    }
}

#[inline(never)]
fn branches(secret: &[u8; 2]) {
    if black_box(secret)[0] & 1 == 1 {
        black_box(&secret);
    }
}

#[inline(never)]
fn looks_up(secret: &[u8; 2], table: &[u8; 256]) -> u8 {
    table[usize::from(black_box(secret)[1])]
}

/// Both, under one secret. Not inlined: what it keeps on the stack stands at the same address each time.
#[inline(never)]
fn seen(secret: &mut [u8; 2], table: &[u8; 256], change: [u8; 2]) -> (Vec<Step>, Vec<Step>) {
    *secret = change;
    let branch = trace(&mut || branches(secret)).steps;
    let address = trace(&mut || _ = black_box(looks_up(secret, table))).steps;
    (branch, address)
}

/// The method finds a branch and a look-up: otherwise the tests above could not fail.
#[test]
fn a_dependence_is_found() {
    let mut secret = Box::new([0, 0]);
    let table = Box::new([7; 256]);
    let (branch, address) = seen(&mut secret, &table, [0, 0]);
    let again = seen(&mut secret, &table, [0, 0]);
    assert!(branch == again.0 && address == again.1, "the same secret gives the same trace");
    let (other_branch, other_address) = seen(&mut secret, &table, [1, 1]);
    assert!(branch != other_branch, "a branch was not found");
    assert!(address != other_address, "a look-up was not found");
}
