//! What threads cost: yielding, waiting for each other, starting and ending.

use super::figure::{Figure, Goal};
use super::guests::Guests;
use super::micro;
use crate::error::Result;

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

/// All figures of the group.
pub fn measure(guests: &Guests<'_>) -> Result<Vec<Figure>> {
    counted(guests)
}

/// The figures that are counted: they are the same in every run and on every
/// machine.
pub fn counted(guests: &Guests<'_>) -> Result<Vec<Figure>> {
    let program = guests.pack("micro")?;
    FROM_STD
        .into_iter()
        .map(|(name, goal, hermit)| {
            let value = micro::instructions(guests, &program, &[measurement(name)])?;
            Ok(Figure::new(name, value, "instructions")
                .peer(HERMIT, hermit)
                .goal(Goal::AtMost(goal)))
        })
        .collect()
}

/// What a program calls the measurement of this figure.
fn measurement(figure: &'static str) -> &'static str {
    figure.trim_start_matches("lwkt/")
}
