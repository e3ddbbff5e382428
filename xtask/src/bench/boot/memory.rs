//! How little memory is enough.

use crate::bench::guests::{Guests, Packed};
use crate::error::{Error, Result};
use crate::vm::{Config, End};

/// More than any `hello` should need, in MiB.
const ENOUGH: u64 = 256;
const LINE: &str = "Hello from Darner!\n";

/// The least memory, in whole MiB, with which hello boots on one CPU of q35, prints
/// its line and ends well.
pub fn least(guests: &Guests<'_>, hello: &Packed) -> Result<u64> {
    let works = |memory_mib| {
        let config = Config {
            memory_mib,
            ..Config::default()
        };
        let outcome = guests.run(hello, &config, &[])?;
        Ok(outcome.end == End::Exited(0) && outcome.stdout.starts_with(LINE.as_bytes()))
    };
    let least = search(ENOUGH, works)?;
    // The search has seen both; seeing both again rules out an accident.
    if !works(least)? || least > 1 && works(least - 1)? {
        return Err(Error::failed(format!(
            "{least} MiB were enough and one less was not, but not when tried again"
        )));
    }
    Ok(least)
}

/// The least number for which `works`, in `1..=enough`.
fn search(enough: u64, mut works: impl FnMut(u64) -> Result<bool>) -> Result<u64> {
    if !works(enough)? {
        return Err(Error::failed(format!(
            "hello does not even run with {enough} MiB"
        )));
    }
    let (mut too_little, mut enough) = (0, enough);
    while enough - too_little > 1 {
        let middle = too_little.midpoint(enough);
        match works(middle)? {
            true => enough = middle,
            false => too_little = middle,
        }
    }
    Ok(enough)
}

#[cfg(test)]
mod tests {
    use super::search;

    #[test]
    fn the_least_is_found_wherever_it_is() {
        for least in 1..=256 {
            assert_eq!(search(256, |mib| Ok(mib >= least)).unwrap(), least);
        }
    }

    #[test]
    fn a_program_that_never_runs_is_an_error() {
        assert!(search(256, |_| Ok(false)).is_err());
    }
}
