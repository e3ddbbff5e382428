//! Counting instructions: on a machine whose time-stamp counter counts them, from
//! 0 at reset. Everything is run twice, and has to give the same twice.

use crate::bench::guests::{Guests, Packed};
use crate::error::{Error, Result};
use crate::vm::{Boot, Config, Machine};

/// What the kernel has to find: an instruction takes a nanosecond.
const TSC_KHZ: u64 = 1_000_000;
/// How far its measurement may be off: it has a resolution of its own.
const TOLERANCE_KHZ: u64 = TSC_KHZ / 1000;

/// The instructions until each station of a program's boot.
pub fn boot(guests: &Guests<'_>, packed: &Packed, machine: Machine) -> Result<Boot> {
    let what = format!("the boot on {}", machine.name());
    twice(&what, || {
        let outcome = guests.run_well(packed, &counting(machine), &[])?;
        let boot = outcome
            .report
            .boot
            .ok_or_else(|| Error::failed(format!("{what} left no record of its times")))?;
        checked(boot, &what)
    })
}

/// What a program prints that measures instructions itself.
pub fn output(
    guests: &Guests<'_>,
    packed: &Packed,
    machine: Machine,
    args: &[&str],
) -> Result<String> {
    twice(&format!("the measurement {}", args.join(" ")), || {
        let outcome = guests.run_well(packed, &counting(machine), args)?;
        Ok(String::from_utf8_lossy(&outcome.stdout).into_owned())
    })
}

fn counting(machine: Machine) -> Config {
    Config {
        machine,
        icount: true,
        ..Config::default()
    }
}

/// Does it twice; an error if that makes a difference.
fn twice<T: PartialEq + std::fmt::Debug>(
    what: &str,
    mut run: impl FnMut() -> Result<T>,
) -> Result<T> {
    let (first, second) = (run()?, run()?);
    if first == second {
        return Ok(first);
    }
    Err(Error::failed(format!(
        "counting instructions does not repeat: {what} gave\n{first:?}, then\n{second:?}"
    )))
}

/// Refuses a boot whose counter did something else than to count instructions.
fn checked(boot: Boot, what: &str) -> Result<Boot> {
    if boot.tsc_khz.abs_diff(TSC_KHZ) > TOLERANCE_KHZ {
        return Err(Error::failed(format!(
            "{what}: found a time-stamp counter of {} kHz, expected {TSC_KHZ}: it does not count instructions",
            boot.tsc_khz
        )));
    }
    let stations = [0, boot.loader, boot.kernel, boot.std, boot.main];
    match stations.is_sorted_by(|a, b| a < b) {
        true => Ok(boot),
        false => Err(Error::failed(format!(
            "{what}: found stations out of order: {boot:?}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::{Boot, checked, twice};

    const BOOT: Boot = Boot {
        tsc_khz: 1_000_000,
        loader: 10,
        kernel: 20,
        std: 30,
        main: 40,
    };

    #[test]
    fn what_differs_between_two_runs_is_an_error() {
        let mut count = 0;
        let mut next = || {
            count += 1;
            Ok(count)
        };
        let error = twice("it", &mut next).unwrap_err().to_string();
        assert!(error.contains("it gave\n1, then\n2"), "{error}");
        assert_eq!(twice("it", || Ok(7)).unwrap(), 7);
    }

    #[test]
    fn a_counter_of_time_is_refused() {
        assert_eq!(checked(BOOT, "it").unwrap(), BOOT);
        let tsc_khz = 2_300_000;
        assert!(checked(Boot { tsc_khz, ..BOOT }, "it").is_err());
        assert!(checked(Boot { loader: 0, ..BOOT }, "it").is_err());
        assert!(checked(Boot { std: 50, ..BOOT }, "it").is_err());
    }
}
