//! Reports as JSON.

use alloc::vec::Vec;

use serde::Serialize;
use serde_json_core::ser::Error;

use crate::source::NoMemory;

/// What is asked for first: most parts of a report fit.
const FIRST: usize = 16 << 10;
/// The largest text. A report whose lists are cut is much smaller.
const MOST: usize = 4 << 20;

/// Writes `part` as JSON, with a line feed at its end.
///
/// # Errors
/// When there is no memory for it.
pub fn write(part: &impl Serialize) -> Result<Vec<u8>, NoMemory> {
    let mut text = Vec::new();
    let mut room = FIRST;
    loop {
        text.try_reserve_exact(room)?;
        text.resize(room, 0);
        // A slice says when it is full, where a vector would ask for memory that must be
        // there.
        match serde_json_core::to_slice(part, &mut text[..room - 1]) {
            Ok(length) => {
                text.truncate(length);
                text.push(b'\n');
                return Ok(text);
            }
            Err(Error::BufferFull) if room < MOST => {
                room *= 4;
                text.clear();
            }
            Err(_) => return Err(NoMemory),
        }
    }
}
