//! The simulator's speed, and what the page protocol costs as the cluster grows.

use std::process::Command;

use super::figure::Figure;
use super::guests::Guests;
use crate::command;
use crate::error::{Error, Result};
use crate::sim;

/// All figures, as the simulator prints them.
pub fn measure(guests: &Guests<'_>) -> Result<Vec<Figure>> {
    let set = guests.set();
    let program = sim::build(&set.toolchain, &set.root)?;
    let said = command::output(Command::new(program).arg("--figures"))?;
    said.lines().map(figure).collect()
}

/// A line of the simulator: name, value, unit.
fn figure(line: &str) -> Result<Figure> {
    let mut words = line.split(' ');
    let parsed = (|| {
        let (name, value) = (words.next()?, words.next()?.parse().ok()?);
        let figure = match words.next()? {
            "steps/s" => Figure::new(name.to_owned(), value, "steps/s").bigger_is_better(),
            "messages" => Figure::new(name.to_owned(), value, "messages"),
            "bytes" => Figure::new(name.to_owned(), value, "bytes"),
            _ => return None,
        };
        Some(figure)
    })();
    parsed.ok_or_else(|| {
        Error::failed(format!(
            "found the line `{line}` of the simulator, expected a name, a value and a unit"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::figure;
    use crate::bench::figure::Better;

    #[test]
    fn a_line_is_a_figure() {
        let speed = figure("sim/steps_per_second 700000 steps/s").unwrap();
        assert_eq!((speed.value, speed.better), (700_000.0, Better::Bigger));
        let cost = figure("sim/messages_per_op_8 0.575 messages").unwrap();
        assert_eq!(
            (&*cost.name, cost.unit),
            ("sim/messages_per_op_8", "messages")
        );
        for wrong in ["", "a/b 1", "a/b one bytes", "a/b 1 apples"] {
            assert!(figure(wrong).is_err(), "{wrong}");
        }
    }
}
