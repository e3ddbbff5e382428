//! What critical sections and messages cost, in ticks of the time-stamp counter.

mod messages;
mod ports;
mod sections;

pub use messages::{ipi_pingpong, ipi_pipelined};
pub use ports::{domsg_fast, port_answered, port_queued};
pub use sections::critical_pair;

use core::hint::black_box;

use crate::arch::cpu::tsc;

/// The ticks of a loop that calls `operation` with 0, 1 and so on, so many times.
#[inline(always)]
fn ticks(operations: u64, mut operation: impl FnMut(u64)) -> u64 {
    let begin = tsc();
    for number in 0..operations {
        operation(black_box(number));
    }
    tsc() - begin
}
