//! Reports for Prometheus.
//!
//! Names are in base units (bytes, seconds) and begin with `darner_`; counters end in
//! `_total`. Threads and sockets are counted here and not listed: their numbers would make
//! time series without end.

mod families;
mod text;

use alloc::vec::Vec;

pub use text::CONTENT_TYPE;

use crate::report::Report;
use crate::source::NoMemory;

/// Writes `report` in the text exposition format.
///
/// # Errors
/// When there is no memory for it.
pub fn write(report: &Report) -> Result<Vec<u8>, NoMemory> {
    let mut text = text::Text::default();
    families::node(&mut text, &report.node)?;
    families::threads(&mut text, &report.threads)?;
    families::cpus(&mut text, &report.cpus)?;
    families::memory(&mut text, &report.memory)?;
    families::interfaces(&mut text, &report.network.interfaces)?;
    families::stack(&mut text, &report.network)?;
    Ok(text.into_bytes())
}
