//! What it takes until a program prints its first line: `apps/hello`, optimised.

mod memory;

use super::figure::{Figure, Goal};
use super::guests::{Guests, Packed};
use super::{counted, micro};
use crate::error::{Context, Result};
use crate::vm::Machine;

/// The Hermit unikernel, its own `hello` measured in the same ways.
const HERMIT: &str = "hermit";

/// All figures of the group.
pub fn measure(guests: &Guests<'_>) -> Result<Vec<Figure>> {
    let mut figures = counted(guests)?;
    let hello = guests.pack("hello")?;
    let mib = memory::least(guests, &hello)?;
    let memory = Figure::new("boot/min_mem_mib", mib as f64, "MiB")
        .peer(HERMIT, 20.0)
        .goal(Goal::AtMost(16.0));
    figures.insert(1, memory);
    Ok(figures)
}

/// The figures that are counted: they are the same in every run and on every
/// machine, and take seconds.
pub fn counted(guests: &Guests<'_>) -> Result<Vec<Figure>> {
    let hello = guests.pack("hello")?;
    let q35 = counted::boot(guests, &hello, Machine::Q35)?;
    let microvm = counted::boot(guests, &hello, Machine::Microvm)?;
    let instructions = |name, count: u64| Figure::new(name, count as f64, "instructions");
    // All but the firmware's.
    let ours = Goal::Under(10e6);
    Ok(vec![
        elf_bytes(&hello)?,
        instructions("boot/instructions_q35", q35.main).peer(HERMIT, 80_173_000.0),
        instructions("boot/instructions_microvm", microvm.main),
        instructions("boot/instructions_ours", q35.main - q35.loader).goal(ours),
        instructions(
            "boot/instructions_ours_microvm",
            microvm.main - microvm.loader,
        )
        .goal(ours),
        getpid(guests)?,
    ])
}

/// The size of the file that the guest gets.
fn elf_bytes(hello: &Packed) -> Result<Figure> {
    let bytes = std::fs::metadata(hello.file())
        .context(|| format!("look at {}", hello.file().display()))?
        .len();
    Ok(Figure::new("boot/elf_bytes", bytes as f64, "bytes")
        .peer(HERMIT, 842_272.0)
        .goal(Goal::Under(840_000.0)))
}

/// What a call of the system costs that does next to nothing, with the loop that
/// makes it.
fn getpid(guests: &Guests<'_>) -> Result<Figure> {
    let program = guests.pack("micro")?;
    let value = micro::instructions(guests, &program, &["getpid"])?;
    Ok(
        Figure::new("boot/getpid_instructions", value, "instructions")
            .peer(HERMIT, 5.0)
            .goal(Goal::AtMost(5.0)),
    )
}
