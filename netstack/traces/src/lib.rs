//! Programs over the memory of a simulated cluster, and what they cost in messages.
//!
//! A program is ordinary code: each node's part runs in program order, loads and stores pages of
//! 4 KiB, takes locks and waits at barriers. It runs twice on the same inputs:
//!
//! * over [`Darner`]: the state machines of `darner-coherence`, sequentially consistent, knowing
//!   nothing of the program; and
//! * over [`Scope`]: a home-based scope-consistency DSM after JIAJIA (Hu, Shi, Tang, 1999), whose programs
//!   name a home for each page and synchronise only by its locks and barriers.
//!
//! The memory really carries the data, and each program checks its result against a sequential
//! run. Time is virtual and every message takes equally long, so counts are the same each time.
#![forbid(unsafe_code)]

mod cpu;
mod darner;
mod engine;
mod measure;
mod net;
pub mod programs;
mod replay;
mod scope;
mod shared;
mod suite;
mod sync;

pub use cpu::Cpu;
pub use darner::{Darner, Placement};
pub use engine::{Memory, Touch, run};
pub use measure::{Measured, measure_darner, measure_scope};
pub use net::{Counts, LATENCY, Net};
pub use replay::{Messages, Recorded};
pub use scope::{Homes, Scope};
pub use shared::{Array, Layout, PAGE_BYTES, Word};
pub use suite::{Compared, PROGRAMS, Size, compare};
