//! What threads and messages cost: yielding, waiting for each other, starting and
//! ending; critical sections, ports, messages between CPUs.

use super::figure::{Figure, Goal};
use super::guests::{Guests, Packed};
use super::micro;
use crate::error::Result;
use crate::vm::Config;

/// The Hermit unikernel; a std program measured in the same way.
const HERMIT: &str = "hermit";

/// What the program `micro` measures: the figure, its goal, and Hermit's value.
const FROM_STD: [(&str, f64, f64); 8] = [
    ("lwkt/yield_alone", 60.0, 109.0),
    ("lwkt/yield_pair", 200.0, 515.61),
    ("lwkt/mutex_uncontended", 11.0, 11.0),
    ("lwkt/spawn_join", 5000.0, 258_000.0),
    ("lwkt/park_rtt", 600.0, 4066.0),
    ("lwkt/condvar_rtt", 700.0, 4161.0),
    ("lwkt/mpsc_rtt", 900.0, 5067.0),
    ("lwkt/instant_now", 30.0, 70.0),
];

/// What the kernel measures of itself, by the program `kernel-tests`: the figure, and
/// its goal.
const IN_KERNEL: [(&str, Option<f64>); 4] = [
    ("lwkt/critical_pair", Some(6.0)),
    // Over a direct call.
    ("lwkt/domsg_fast", Some(20.0)),
    ("lwkt/port_queued", None),
    ("lwkt/port_answered", None),
];

/// All figures of the group.
pub fn measure(guests: &Guests<'_>) -> Result<Vec<Figure>> {
    let mut figures = counted(guests)?;
    figures.push(pipelining(guests, &guests.pack("kernel-tests")?)?);
    Ok(figures)
}

/// The figures that are counted: they are the same in every run and on every
/// machine.
pub fn counted(guests: &Guests<'_>) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let program = guests.pack("micro")?;
    for (name, goal, hermit) in FROM_STD {
        let value = micro::instructions(guests, &program, &[measurement(name)])?;
        let figure = Figure::new(name, value, "instructions").peer(HERMIT, hermit);
        figures.push(figure.goal(Goal::AtMost(goal)));
    }
    let kernel = guests.pack("kernel-tests")?;
    for (name, goal) in IN_KERNEL {
        let value = micro::instructions(guests, &kernel, &["measure", measurement(name)])?;
        let figure = Figure::new(name, value, "instructions");
        figures.push(match goal {
            Some(goal) => figure.goal(Goal::AtMost(goal)),
            None => figure,
        });
    }
    Ok(figures)
}

/// How many times as long a message between two CPUs takes when each is the answer to
/// the last as when they are sent without waiting. DragonFly had about 20.
fn pipelining(guests: &Guests<'_>, kernel: &Packed) -> Result<Figure> {
    let two = Config {
        cpus: 2,
        ..Config::default()
    };
    let args = ["measure", "ipi_pingpong", "ipi_pipelined"];
    let outcome = guests.run_well(kernel, &two, &args)?;
    let said = String::from_utf8_lossy(&outcome.stdout);
    let ratio = micro::found(&said, "ipi_pingpong")? / micro::found(&said, "ipi_pipelined")?;
    Ok(Figure::new(
        "lwkt/ipi_pipelined_over_pingpong",
        (ratio * 10.0).round() / 10.0,
        "times",
    ))
}

/// What a program calls the measurement of this figure.
fn measurement(figure: &'static str) -> &'static str {
    figure.trim_start_matches("lwkt/")
}
