//! What the program `micro`, and programs like it, say that they measured: lines of a
//! name and a number.

use super::counted;
use super::guests::{Guests, Packed};
use crate::error::{Error, Result};
use crate::vm::Machine;

/// The instructions of one operation, by the measurement of that name of a program.
pub fn instructions(guests: &Guests<'_>, packed: &Packed, args: &[&str]) -> Result<f64> {
    let said = counted::output(guests, packed, Machine::Q35, args)?;
    let name = args.last().copied().unwrap_or_default();
    let value = found(&said, name)?;
    // Reading the counter and the kernel's timer interrupt are no part of the
    // operation. Divided by the number of its repetitions they end behind the second
    // decimal.
    Ok((value * 100.0).round() / 100.0)
}

/// The number behind `name`, which has a line of its own in what a program said.
pub fn found(said: &str, name: &str) -> Result<f64> {
    said.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| Error::failed(format!("found `{said}`, expected a line `{name} NUMBER`")))
}

#[cfg(test)]
mod tests {
    use super::found;

    #[test]
    fn a_measurement_is_found_by_its_name() {
        assert_eq!(
            found("getpids 3\ngetpid 5.000007\n", "getpid").unwrap(),
            5.000_007
        );
        for said in ["getpid\n", "getpid fast\n", ""] {
            let error = found(said, "getpid").unwrap_err().to_string();
            assert!(error.contains("getpid NUMBER"), "{error}");
        }
    }
}
