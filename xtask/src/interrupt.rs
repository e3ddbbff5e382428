//! Signals that ask xtask to end: they are noted, and whoever waits for a child
//! looks here, kills it and ends in order.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use crate::error::{Context, Result};

static RECEIVED: OnceLock<Arc<AtomicUsize>> = OnceLock::new();

/// Signal numbers, the same on every Linux: hang-up, Ctrl-C, termination.
const SIGNALS: [i32; 3] = [1, 2, 15];

/// From here on, signals are noted instead of ending xtask at once. Called once
/// at the start.
pub fn watch() -> Result<()> {
    let received = RECEIVED.get_or_init(Arc::default);
    for signal in SIGNALS {
        signal_hook::flag::register_usize(signal, Arc::clone(received), signal as usize)
            .context(|| format!("watch for signal {signal}"))?;
    }
    Ok(())
}

/// As if Ctrl-C had been pressed, for where the terminal makes no signal of it.
pub fn ask() {
    let received = RECEIVED.get_or_init(Arc::default);
    received.store(SIGNALS[1] as usize, Ordering::Relaxed);
}

/// The exit status that the signal received so far calls for, if there was one.
pub fn status() -> Option<u8> {
    match RECEIVED
        .get()
        .map_or(0, |received| received.load(Ordering::Relaxed))
    {
        0 => None,
        signal => Some(128 + signal as u8),
    }
}
