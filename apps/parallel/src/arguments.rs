//! The command line: options with numbers, each of which has a default and a range.

use std::fmt::{Display, Write};
use std::ops::RangeInclusive;
use std::str::FromStr;

use lexopt::prelude::*;

/// The most threads that a program starts.
const MOST_THREADS: usize = 1024;

/// Why a program does not begin.
#[derive(Debug, PartialEq)]
pub enum Stop {
    /// It was asked how it is called: this is how.
    Help(String),
    /// The command line is wrong: in what, and how it would be right.
    Wrong(String),
}

/// The command line of a program, which asks for one option after the other. What is wrong is told
/// once it has asked for all: only then is it known which there are.
#[derive(Debug, Default)]
pub struct Arguments {
    given: Vec<(String, String)>,
    wrong: Option<String>,
    usage: String,
}

/// What `read` takes from the command line, if nothing is wrong with it.
pub fn options<T>(
    parser: lexopt::Parser,
    program: &str,
    read: impl FnOnce(&mut Arguments) -> T,
) -> Result<T, Stop> {
    let split = split(parser);
    let mut arguments = Arguments::default();
    let mut is_help = false;
    match split {
        Ok(Some(given)) => arguments.given = given,
        Ok(None) => is_help = true,
        Err(error) => arguments.wrong = Some(error.to_string()),
    }
    let options = read(&mut arguments);
    let usage = format!("usage: {program} [OPTION VALUE]…{}", arguments.usage);
    if is_help {
        return Err(Stop::Help(usage));
    }
    let unknown = arguments.given.first().map(|(name, _)| name);
    let unknown = unknown.map(|name| format!("unknown option --{name}"));
    match arguments.wrong.or(unknown) {
        Some(wrong) => Err(Stop::Wrong(format!("{wrong}\n{usage}"))),
        None => Ok(options),
    }
}

/// Names and values; `None` if it asks for help.
fn split(mut parser: lexopt::Parser) -> Result<Option<Vec<(String, String)>>, lexopt::Error> {
    let mut given = Vec::new();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("help") | Short('h') => return Ok(None),
            Long(name) => {
                let name = name.to_owned();
                given.push((name, parser.value()?.string()?));
            }
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(given))
}

impl Arguments {
    /// The value of `--name`: a number of `range`, or `default` if there is none.
    pub fn number<T>(&mut self, name: &str, about: &str, default: T, range: RangeInclusive<T>) -> T
    where
        T: FromStr + PartialOrd + Display,
    {
        let (start, end) = (range.start(), range.end());
        self.describe(
            name,
            &format!("{about}: {start} to {end}, usually {default}"),
        );
        let Some(text) = self.take(name) else {
            return default;
        };
        match text.parse() {
            Ok(number) if range.contains(&number) => number,
            _ => {
                self.refuse(format!(
                    "--{name}: expected a number from {start} to {end}, found {text:?}"
                ));
                default
            }
        }
    }

    /// The value of `--name`, if it is there.
    pub fn text(&mut self, name: &str, about: &str) -> Option<String> {
        self.describe(name, about);
        self.take(name)
    }

    /// The number of threads, `--threads`: as many as there are CPUs if it does not say.
    pub fn threads(&mut self) -> usize {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        self.number(
            "threads",
            "threads",
            cpus.min(MOST_THREADS),
            1..=MOST_THREADS,
        )
    }

    /// What all that is random comes from, `--seed`.
    pub fn seed(&mut self) -> u64 {
        self.number("seed", "of what is random", 1, 0..=u64::MAX)
    }

    fn describe(&mut self, name: &str, about: &str) {
        // Writing to a string does not fail.
        let _ = write!(self.usage, "\n  --{name:<12} {about}");
    }

    /// The last value that was given by that name.
    fn take(&mut self, name: &str) -> Option<String> {
        let is_it = |(given, _): &mut (String, String)| given == name;
        let (_, value) = self.given.extract_if(.., is_it).last()?;
        Some(value)
    }

    /// Notes what is wrong; the first is told.
    fn refuse(&mut self, wrong: String) {
        self.wrong.get_or_insert(wrong);
    }
}

#[cfg(test)]
mod tests {
    use super::{Arguments, Stop, options};

    fn parse(line: &str) -> Result<(usize, u64, Option<String>), Stop> {
        let parser = lexopt::Parser::from_args(line.split_whitespace());
        options(parser, "knit", |given: &mut Arguments| {
            let stitches = given.number("stitches", "in a row", 20, 10..=30);
            (stitches, given.seed(), given.text("out", "a file"))
        })
    }

    fn wrong(line: &str) -> String {
        match parse(line) {
            Err(Stop::Wrong(text)) => text,
            other => panic!("{line}: found {other:?}"),
        }
    }

    #[test]
    fn what_is_not_given_has_a_default() {
        assert_eq!(parse(""), Ok((20, 1, None)));
        let all = "--seed 7 --out=x --stitches 12 --stitches 30";
        assert_eq!(parse(all), Ok((30, 7, Some("x".into()))));
    }

    #[test]
    fn says_what_is_wrong_and_what_would_be_right() {
        let range = "--stitches: expected a number from 10 to 30, found \"9\"\nusage: knit";
        assert!(wrong("--stitches 9").starts_with(range));
        assert!(wrong("--stitches x").contains("found \"x\""));
        assert!(wrong("--stitches").contains("missing argument"));
        assert!(wrong("--switches 9").starts_with("unknown option --switches\n"));
        assert!(wrong("9").contains("unexpected argument"));
        assert!(wrong("-s").contains("invalid option '-s'"));
    }

    #[test]
    fn tells_how_it_is_called() {
        let Err(Stop::Help(text)) = parse("--seed 3 --help") else {
            panic!("no help");
        };
        assert!(
            text.contains("--stitches     in a row: 10 to 30, usually 20"),
            "{text}"
        );
    }
}
