//! `xtask bench`: what Darner costs, in figures that can be compared.
//!
//! A group of figures is one file here and one entry of [`GROUPS`]. Where a figure
//! can be counted instead of timed, it is: counts are the same on every machine.

pub mod boot;
mod coherence;
mod counted;
mod figure;
mod founding;
mod guests;
mod host_load;
pub mod lwkt;
mod micro;
mod net;
mod sim;
mod slab;
mod ssi;
mod table;

pub use figure::Figure;
pub use guests::Guests;

use crate::build_set::BuildSet;
use crate::error::{Error, Result};

/// A group of figures that are measured together.
struct Group {
    /// Its name on the command line, and the first part of its figures' names.
    name: &'static str,
    /// What it measures.
    about: &'static str,
    measure: fn(&Guests<'_>) -> Result<Vec<Figure>>,
}

/// All groups.
const GROUPS: &[Group] = &[
    Group {
        name: "boot",
        about: "size, memory and instructions until a program prints its first line",
        measure: boot::measure,
    },
    Group {
        name: "lwkt",
        about: "instructions of yielding, waiting, waking, starting threads",
        measure: lwkt::measure,
    },
    Group {
        name: "slab",
        about: "the slab allocator beside mimalloc, snmalloc, jemalloc, talc and glibc, on the host",
        measure: slab::measure,
    },
    Group {
        name: "net",
        about: "TCP, UDP and HTTP beside a Linux guest on the same machine",
        measure: net::measure,
    },
    Group {
        name: "coherence",
        about: "messages of the cluster's memory: by operation, and by program beside a scope-consistency DSM",
        measure: coherence::measure,
    },
    Group {
        name: "sim",
        about: "the cluster simulator's speed; messages and memory as a cluster grows",
        measure: sim::measure,
    },
    Group {
        name: "ssi",
        about: "several machines that are one: faults beside requests by TCP, speed-ups, messages, memory, boot",
        measure: ssi::measure,
    },
    Group {
        name: "founding",
        about: "counters of several CPUs, by lock or by message; rewrites docs/mutex-or-ipi.md and its plot",
        measure: founding::measure,
    },
];

/// What the command line after `bench` asks for.
#[derive(Default)]
struct Options {
    group: Option<&'static Group>,
    json: bool,
}

impl Options {
    fn parse(mut parser: lexopt::Parser) -> Result<Self> {
        use lexopt::prelude::*;
        let mut options = Self::default();
        while let Some(argument) = parser.next()? {
            match argument {
                Long("json") => options.json = true,
                Value(name) if options.group.is_none() => {
                    options.group = Some(find(&name.string()?)?);
                }
                other => return Err(other.unexpected().into()),
            }
        }
        Ok(options)
    }
}

/// Does what the command line after `bench` says. A goal that is missed is not an
/// error: the figure says so.
pub fn run(parser: lexopt::Parser) -> Result<u8> {
    let options = Options::parse(parser)?;
    let Some(group) = options.group else {
        print!("{}", list());
        return Ok(0);
    };
    let set = BuildSet::ready()?;
    let figures = (group.measure)(&Guests::new(&set)?)?;
    if options.json {
        for figure in &figures {
            println!("{}", figure.json());
        }
    } else {
        print!("{}", table::aligned(&figures));
    }
    Ok(0)
}

fn find(name: &str) -> Result<&'static Group> {
    GROUPS
        .iter()
        .find(|group| group.name == name)
        .ok_or_else(|| {
            let names: Vec<&str> = GROUPS.iter().map(|group| group.name).collect();
            Error::usage(format!(
                "found no benchmark group `{name}`, expected one of: {}",
                names.join(", ")
            ))
        })
}

/// The groups, one a line.
fn list() -> String {
    GROUPS
        .iter()
        .map(|group| format!("{:12} {}\n", group.name, group.about))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{GROUPS, Options, list};

    fn parse(words: &[&str]) -> crate::error::Result<Options> {
        Options::parse(lexopt::Parser::from_args(words))
    }

    #[test]
    fn a_group_and_the_form_are_chosen() {
        let options = parse(&["--json", "boot"]).unwrap();
        assert_eq!(options.group.unwrap().name, "boot");
        assert!(options.json);
        assert!(parse(&[]).unwrap().group.is_none());
    }

    #[test]
    fn an_unknown_group_is_answered_with_the_known_ones() {
        let error = parse(&["boto"]).err().unwrap();
        assert_eq!(error.status(), 2);
        for group in GROUPS {
            assert!(error.to_string().contains(group.name), "{error}");
            assert!(list().contains(group.name));
        }
    }

    #[test]
    fn strays_are_refused() {
        assert_eq!(parse(&["boot", "boot"]).err().unwrap().status(), 2);
        assert_eq!(parse(&["--jsn"]).err().unwrap().status(), 2);
    }
}
