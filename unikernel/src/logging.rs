//! The `log` back end: one line an event, with the CPU, on standard error.

use core::fmt::Write;

use log::{LevelFilter, Log, Metadata, Record};

use crate::arch::percpu;
use crate::console;

struct KernelLog;

static LOG: KernelLog = KernelLog;

/// Installs the log at `level`. Called once, at boot.
pub fn init(level: LevelFilter) {
    if log::set_logger(&LOG).is_ok() {
        log::set_max_level(level);
    }
}

impl Log for KernelLog {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        // The console never fails.
        let _ = writeln!(
            console::Stderr,
            "[{} cpu{}] {}: {}",
            record.level(),
            percpu::cpu_index(),
            record.target(),
            record.args()
        );
    }

    fn flush(&self) {}
}
