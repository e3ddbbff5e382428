//! What libtest, the program that every `#[test]` becomes part of, prints.

/// The names that a run with `--list` printed. Benchmarks are among them: a run
/// of the tests does what they measure once.
pub fn listed(output: &str) -> Result<Vec<String>, String> {
    let names: Vec<String> = output
        .lines()
        .filter_map(|line| {
            line.strip_suffix(": test")
                .or_else(|| line.strip_suffix(": benchmark"))
        })
        .map(str::to_owned)
        .collect();
    // Its own count shows whether all of it arrived.
    let counted = output
        .lines()
        .rev()
        .find_map(counted)
        .ok_or("found no line `N tests, N benchmarks` in libtest's list")?;
    match names.len() == counted {
        true => Ok(names),
        false => Err(format!(
            "libtest listed {} tests and counted {counted}",
            names.len()
        )),
    }
}

/// The sum in a line like `2 tests, 1 benchmark`.
fn counted(line: &str) -> Option<usize> {
    let (tests, benchmarks) = line.split_once(", ")?;
    let number = |text: &str, what: &str| {
        let (number, unit) = text.split_once(' ')?;
        let number: usize = number.parse().ok()?;
        (unit.trim_end_matches('s') == what).then_some(number)
    };
    Some(number(tests, "test")? + number(benchmarks, "benchmark")?)
}

/// What a run says of itself at its begin and end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Whether it calls itself a success.
    pub is_ok: bool,
    /// How many tests it set out to run.
    pub running: usize,
    /// How many did what they should.
    pub passed: usize,
    /// How many did not.
    pub failed: usize,
    /// How many are marked to be left out.
    pub ignored: usize,
    /// How many benchmarks were run.
    pub measured: usize,
    /// How many the command line leaves out.
    pub filtered_out: usize,
}

impl Summary {
    /// Finds it in what a run printed.
    pub fn find(output: &str) -> Result<Self, String> {
        let running = output
            .lines()
            .find_map(|line| line.strip_prefix("running ")?.split_once(" test"))
            .and_then(|(number, _)| number.parse().ok())
            .ok_or("found no line `running N tests`")?;
        let result = output
            .lines()
            .rev()
            .find_map(|line| line.strip_prefix("test result: "))
            .ok_or("found no line `test result: …`: the program ended before it was done")?;
        let (verdict, counts) = result
            .split_once(". ")
            .ok_or_else(|| format!("found no counts in `test result: {result}`"))?;
        let count = |name: &str| {
            counts
                .split("; ")
                .find_map(|part| part.strip_suffix(name)?.strip_suffix(' ')?.parse().ok())
                .ok_or_else(|| format!("found no number {name} in `test result: {result}`"))
        };
        Ok(Self {
            is_ok: verdict == "ok",
            running,
            passed: count("passed")?,
            failed: count("failed")?,
            ignored: count("ignored")?,
            measured: count("measured")?,
            filtered_out: count("filtered out")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Summary, listed};

    #[test]
    fn names_are_read_from_the_list() {
        let output = "mutex::smoke: test\nspeed: benchmark\nonce: test\n\n2 tests, 1 benchmark\n";
        assert_eq!(listed(output).unwrap(), ["mutex::smoke", "speed", "once"]);
        assert_eq!(listed("0 tests, 0 benchmarks\n").unwrap().len(), 0);
        assert_eq!(listed("a: test\n\n1 test, 0 benchmarks\n").unwrap(), ["a"]);
    }

    #[test]
    fn an_incomplete_list_is_no_list() {
        assert!(listed("").is_err());
        assert!(listed("mutex::smoke: test\n").is_err());
        assert!(listed("mutex::smoke: test\n\n2 tests, 0 benchmarks\n").is_err());
    }

    #[test]
    fn a_summary_is_read() {
        let output = "\nrunning 7 tests\ntest a ... ok\n\n\
                      test result: ok. 4 passed; 0 failed; 3 ignored; 0 measured; 12 filtered out; finished in 8.28s\n\n";
        let expected = Summary {
            is_ok: true,
            running: 7,
            passed: 4,
            ignored: 3,
            filtered_out: 12,
            ..Summary::default()
        };
        assert_eq!(Summary::find(output).unwrap(), expected);
    }

    #[test]
    fn a_failure_is_told_from_a_success() {
        let output = "running 1 test\n\
                      test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";
        let summary = Summary::find(output).unwrap();
        assert!(!summary.is_ok);
        assert_eq!((summary.running, summary.failed), (1, 1));
    }

    #[test]
    fn a_run_that_broke_off_has_no_summary() {
        for output in [
            "",
            "running 2 tests\ntest a ... ok\n",
            "test result: ok. 4 passed; 0 failed; 3 ignored; 0 measured; 12 filtered out\n",
            "running 2 tests\ntest result: ok. 2 passed; 0 fai\n",
            "running 2 tests\ntest result: ok\n",
        ] {
            assert!(Summary::find(output).is_err(), "{output}");
        }
    }
}
