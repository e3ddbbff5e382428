//! The founding question: does it cost less to lock what CPUs share, or to have one
//! CPU own it and to send it messages?
//!
//! The program `kernel-tests` has the kernel update counters in each [`Way`] and
//! [`Shape`]. What is timed is timed in several rounds, each of which starts a machine
//! of every size; a figure is the median of what it is in each round. The page in
//! `docs` is rewritten.

mod page;
mod plot;
mod results;

use std::time::Duration;

use self::results::{Range, Results, Shape, Way};
use super::counted;
use super::figure::Figure;
use super::guests::{Guests, Packed};
use super::host_load::Watch;
use super::micro;
use crate::error::Result;
use crate::vm::{Config, Machine};

/// How often all is timed.
const ROUNDS: usize = 5;
/// The machines' numbers of CPUs.
const CPUS: [u32; 4] = [1, 2, 4, 8];
/// How long one machine may take for its part of a round, on a busy host.
const PATIENCE: Duration = Duration::from_secs(300);
/// A way that only counting has: every update by message, even the CPU's own.
const ALWAYS: &str = "always";

/// All figures of the group. Rewrites the page and its plot.
pub fn measure(guests: &Guests<'_>) -> Result<Vec<Figure>> {
    let kernel = guests.pack("kernel-tests")?;
    let watch = Watch::start()?;
    let rounds = (1..=ROUNDS)
        .map(|round| {
            eprintln!("xtask: round {round} of {ROUNDS}");
            CPUS.into_iter()
                .map(|cpus| times(guests, &kernel, cpus))
                .collect()
        })
        .collect::<Result<Vec<Vec<_>>>>()?;
    let others =
        watch.warn("speeds on more than one CPU mean little; measure again when it is idle")?;
    eprintln!("xtask: interrupts and instructions");
    let interrupts = CPUS
        .into_iter()
        .map(|cpus| interrupts(guests, &kernel, cpus))
        .collect::<Result<_>>()?;
    let results = Results {
        speeds: results::speeds(&rounds),
        interrupts,
        instructions: instructions(guests, &kernel)?,
        others,
    };
    page::write(guests, &results)?;
    Ok(figures(&results))
}

/// What the program calls an experiment.
fn experiment(way: &str, shape: Shape) -> String {
    format!("counters/{way}/{}", shape.name())
}

/// The ticks of an update in each shape and way, on so many CPUs.
fn times(guests: &Guests<'_>, kernel: &Packed, cpus: u32) -> Result<Vec<Vec<f64>>> {
    measured(guests, kernel, cpus, "")
}

/// The interrupts of a thousand updates in each shape and way, on so many CPUs.
fn interrupts(guests: &Guests<'_>, kernel: &Packed, cpus: u32) -> Result<Vec<Vec<f64>>> {
    let mut measured = measured(guests, kernel, cpus, "/interrupts")?;
    for value in measured.iter_mut().flatten() {
        *value *= 1000.0;
    }
    Ok(measured)
}

fn measured(
    guests: &Guests<'_>,
    kernel: &Packed,
    cpus: u32,
    ending: &str,
) -> Result<Vec<Vec<f64>>> {
    let config = Config {
        cpus,
        timeout: Some(PATIENCE),
        ..Config::default()
    };
    by_experiment(&Way::ALL.map(Way::name), ending, |args| {
        let outcome = guests.run_well(kernel, &config, args)?;
        Ok(String::from_utf8_lossy(&outcome.stdout).into_owned())
    })
}

/// The instructions of an update in each shape and way, on one CPU. The last way is
/// [`ALWAYS`].
fn instructions(guests: &Guests<'_>, kernel: &Packed) -> Result<Vec<Vec<f64>>> {
    let ways: Vec<&str> = Way::ALL
        .map(Way::name)
        .into_iter()
        .chain([ALWAYS])
        .collect();
    by_experiment(&ways, "", |args| {
        counted::output(guests, kernel, Machine::Q35, args)
    })
}

/// Has `run` run the program, with the arguments for all shapes in these ways; the
/// numbers that it said.
fn by_experiment(
    ways: &[&str],
    ending: &str,
    run: impl FnOnce(&[&str]) -> Result<String>,
) -> Result<Vec<Vec<f64>>> {
    let names: Vec<Vec<String>> = Shape::ALL
        .into_iter()
        .map(|shape| {
            ways.iter()
                .map(|way| experiment(way, shape) + ending)
                .collect()
        })
        .collect();
    let args: Vec<&str> = ["measure"]
        .into_iter()
        .chain(names.iter().flatten().map(String::as_str))
        .collect();
    let said = run(&args)?;
    names
        .iter()
        .map(|names| names.iter().map(|name| micro::found(&said, name)).collect())
        .collect()
}

fn figures(results: &Results) -> Vec<Figure> {
    let mut figures = Vec::new();
    let round = |value: f64, digits: i32| {
        let scale = 10f64.powi(digits);
        (value * scale).round() / scale
    };
    for (s, shape) in Shape::ALL.into_iter().enumerate() {
        for (w, way) in Way::ALL.into_iter().enumerate() {
            for (c, cpus) in CPUS.into_iter().enumerate() {
                let name = format!("founding/{}/{}/{cpus}cpu", shape.name(), way.name());
                let Range { median, .. } = results.speeds[s][w][c];
                let unit = "of a spin lock's speed on 1 CPU";
                figures.push(Figure::new(name.clone(), round(median, 5), unit));
                let interrupts = round(results.interrupts[c][s][w], 3);
                let unit = "interrupts of 1000 updates";
                figures.push(Figure::new(name + "/interrupts", interrupts, unit));
            }
        }
        let ways = Way::ALL.map(Way::name).into_iter().chain([ALWAYS]);
        for (way, &value) in ways.zip(&results.instructions[s]) {
            let name = format!("founding/{}/{way}/instructions", shape.name());
            figures.push(Figure::new(name, round(value, 2), "instructions"));
        }
    }
    figures
}

#[cfg(test)]
mod tests {
    use super::{by_experiment, figures};
    use crate::bench::founding::results::tests::some;

    #[test]
    fn every_experiment_is_asked_for_and_found() {
        let numbers = by_experiment(&["spin", "always"], "/interrupts", |args| {
            assert_eq!(args[0], "measure");
            assert_eq!(args[2], "counters/always/hot/interrupts");
            let lines = args[1..].iter().zip(1..);
            Ok(lines
                .map(|(name, number)| format!("{name} {number}\n"))
                .collect())
        });
        let expected = vec![vec![1.0, 2.0], vec![3.0, 4.0], vec![5.0, 6.0]];
        assert_eq!(numbers.unwrap(), expected);
        assert!(by_experiment(&["spin"], "", |_| Ok("nothing".into())).is_err());
    }

    #[test]
    fn figures_have_names_of_their_own() {
        let figures = figures(&some());
        let mut names: Vec<_> = figures.iter().map(|figure| &figure.name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), figures.len());
        let of = |name: &str| {
            figures
                .iter()
                .find(|figure| figure.name == name)
                .unwrap()
                .value
        };
        assert_eq!(of("founding/hot/spin/1cpu"), 1.0);
        assert_eq!(of("founding/spread/passive/8cpu"), 0.25);
        assert_eq!(of("founding/spread/always/instructions"), 36.0);
    }
}
