//! What the CPU refuses to do.
//!
//! All in assembly: the compiler may assume that a Rust program never does these
//! things, and would be free to leave them out.

use std::arch::asm;
use std::hint::black_box;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::Outcome;

/// The instruction `ret`: executed as code, it does no harm but to return.
const RET: u8 = 0xc3;

/// A variable that holds code.
static CODE: AtomicU8 = AtomicU8::new(RET);

/// Uses a little more stack in each call, until there is none left.
#[inline(never)]
#[expect(unconditional_recursion, reason = "the point of it")]
fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 32]);
    // Used after the call, or the call could become a jump.
    recurse(depth + 1) + frame[(depth % 32) as usize]
}

/// Overflows the main thread's stack.
pub fn stack_overflow() -> Outcome {
    Err(format!("the recursion ended with {}", recurse(0)).into())
}

/// Overflows the stack of another thread.
pub fn thread_stack_overflow() -> Outcome {
    let thread = std::thread::Builder::new()
        .name("deep".into())
        .spawn(|| recurse(0))?;
    let result = thread.join().map_err(|_| "the thread panicked")?;
    Err(format!("the recursion ended with {result}").into())
}

/// Reads a byte at `address`.
pub fn read(address: usize) -> Outcome {
    let byte: u8;
    // SAFETY: not safe: there is nothing at `address`. The CPU is to stop it.
    unsafe { asm!("mov {}, byte ptr [{}]", out(reg_byte) byte, in(reg) address) };
    Err(format!("found {byte} at {address:#x}").into())
}

/// Overwrites code.
pub fn write_text() -> Outcome {
    let code = recurse as *const () as usize;
    // SAFETY: not safe: code must not change. The CPU is to stop it.
    unsafe { asm!("mov byte ptr [{}], {}", in(reg) code, in(reg_byte) RET) };
    Err(format!("the code at {code:#x} could be overwritten").into())
}

/// Executes a variable.
pub fn exec_data() -> Outcome {
    execute(CODE.as_ptr().addr(), "a variable")
}

/// Executes the stack.
pub fn exec_stack() -> Outcome {
    let code = AtomicU8::new(CODE.load(Ordering::Relaxed));
    execute(black_box(&code).as_ptr().addr(), "the stack")
}

/// Calls `address`, where `what` is.
fn execute(address: usize, what: &str) -> Outcome {
    // SAFETY: not safe: `address` is no function. The CPU is to stop it. (If it
    // does not, a lone `ret` runs, which changes nothing.)
    unsafe { asm!("call {}", in(reg) address, clobber_abi("C")) };
    Err(format!("{what} at {address:#x} could be executed").into())
}

/// Divides by zero without the check that Rust makes.
pub fn divide() -> Outcome {
    // SAFETY: not safe: the CPU is to refuse the division.
    unsafe {
        asm!("div {:e}", in(reg) 0, inout("eax") 1 => _, inout("edx") 0 => _);
    }
    Err("a division by zero had a result".into())
}

/// Executes the instruction that is defined to be invalid.
pub fn illegal() -> Outcome {
    // SAFETY: raises an exception and does not return.
    unsafe { asm!("ud2", options(noreturn)) }
}

/// Faults with no handler for that, nor for the fault that this is: the CPU gives
/// up and the machine resets.
pub fn triple_fault() -> Outcome {
    let empty_table = [0_u16; 5];
    // SAFETY: not safe: without a table of handlers nothing can be handled. The
    // program runs in ring 0, where it may load an empty one.
    unsafe { asm!("lidt [{}]", "ud2", in(reg) &raw const empty_table) };
    Err("the machine went on without handlers".into())
}
