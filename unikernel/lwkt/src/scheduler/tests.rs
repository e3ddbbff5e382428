//! The scheduler on a machine that the host plays.
//!
//! Every thread of the scheduler is a thread of the host, which runs only while it
//! holds its CPU ([`context`]); CPUs run at the same time. Interrupts are noted and
//! served as the kernel does it ([`machine`]); time passes when the test, or nobody,
//! has something to do ([`world`]). What runs on it:
//!
//! * [`storms`]: many threads do everything at once, on the threads of the host, and
//!   smaller under `--cfg shuttle` in many random orders ([`shuttled`]),
//! * [`sharing`]: which CPU threads run on,
//! * [`interrupts`]: interrupt threads preempt the kernel's code, which goes on where it was,
//! * [`looking`]: what can be seen of threads and CPUs from outside,
//! * [`order`]: what one CPU runs, step by step against a model,
//! * [`models`]: under `--cfg loom`, every order of a few steps.

#[cfg(not(any(loom, shuttle)))]
mod clock;
mod context;
#[cfg(not(any(loom, shuttle)))]
mod interrupts;
#[cfg(not(any(loom, shuttle)))]
mod looking;
mod machine;
mod program;
mod sys;
mod world;

#[cfg(loom)]
mod models;
#[cfg(not(any(loom, shuttle)))]
mod order;
#[cfg(not(any(loom, shuttle)))]
mod sharing;
#[cfg(shuttle)]
mod shuttled;
#[cfg(not(loom))]
mod storms;
