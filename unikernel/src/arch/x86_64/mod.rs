//! The x86-64 processor: descriptor tables, interrupts, context switch, timers.

pub mod activity;
pub mod apic;
pub mod backtrace;
pub mod clock;
pub mod cpu;
pub mod faults;
pub mod fence;
pub mod gdt;
pub mod idt;
pub mod percpu;
pub mod smp;
pub mod switch;
pub mod timer;
pub mod tlb;
pub mod vectors;
