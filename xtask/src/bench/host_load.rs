//! How much of the host's CPUs others use. What several emulated CPUs do together
//! depends on whether they run at the same time, and so on that.

use std::fs;

use crate::error::{Context, Error, Result};

/// If others take more of the host's CPU time than this, the user is told.
const BUSY: f64 = 0.05;
/// What there is to do about it.
pub const AGAIN: &str = "measure again when it is idle";

/// CPU time since the host was started, in the clock ticks of `/proc`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Times {
    /// Of all CPUs, idle or not.
    all: u64,
    /// Of all CPUs, not idle.
    busy: u64,
    /// Of this process and those that it has waited for.
    own: u64,
}

/// A time that has begun.
pub struct Watch(Times);

impl Watch {
    /// Begins now.
    pub fn start() -> Result<Self> {
        now().map(Self)
    }

    /// As [`Self::others`]; tells the user if that is more than matters, and what it `means`.
    pub fn warn(&self, means: &str) -> Result<f64> {
        let others = self.others()?;
        if others > BUSY {
            eprintln!(
                "xtask: other work took {:.0} % of the host's CPUs meanwhile: {means}",
                others * 100.0
            );
        }
        Ok(others)
    }

    /// The part of the CPUs' time since the begin that neither was idle nor taken by this
    /// process and by those that it has waited for: from 0 to 1.
    fn others(&self) -> Result<f64> {
        now().map(|end| others(self.0, end))
    }
}

fn others(begin: Times, end: Times) -> f64 {
    let all = end.all - begin.all;
    // The two files are not read at the same moment.
    let others = (end.busy - begin.busy).saturating_sub(end.own - begin.own);
    others as f64 / all.max(1) as f64
}

fn now() -> Result<Times> {
    let read = |path: &str| fs::read_to_string(path).context(|| format!("read {path}"));
    parse(&read("/proc/stat")?, &read("/proc/self/stat")?).ok_or_else(|| {
        Error::failed(
            "found /proc/stat or /proc/self/stat without times, expected those of proc(5)",
        )
    })
}

fn parse(host: &str, own: &str) -> Option<Times> {
    let numbers = |text: &str| -> Vec<u64> {
        text.split_whitespace()
            .map_while(|word| word.parse().ok())
            .collect()
    };
    // user, nice, system, idle, iowait, irq, softirq, steal; guests are part of user.
    let times = numbers(host.strip_prefix("cpu ")?);
    let all = times.iter().take(8).sum();
    let idle = times.get(3)? + times.get(4)?;
    // Behind the name, which may hold anything, and a letter: utime, stime, cutime and
    // cstime are the 11th and the following.
    let (_, behind_name) = own.rsplit_once(") ")?;
    let own = behind_name
        .split_whitespace()
        .skip(11)
        .take(4)
        .map(str::parse::<u64>)
        .sum::<std::result::Result<u64, _>>()
        .ok()?;
    Some(Times {
        all,
        busy: all - idle,
        own,
    })
}

#[cfg(test)]
mod tests {
    use super::{Times, Watch, others, parse};

    #[test]
    fn times_are_where_proc_says() {
        let host = "cpu  10 20 30 400 50 6 7 8 9 9\ncpu0 1 1\n";
        let own = "42 (a ) b) S 1 2 3 4 5 6 7 8 9 10 100 200 300 400 20 0\n";
        let expected = Times {
            all: 531,
            busy: 81,
            own: 1000,
        };
        assert_eq!(parse(host, own), Some(expected));
        assert_eq!(parse("", own), None);
        assert_eq!(parse(host, "42"), None);
    }

    #[test]
    fn what_is_not_ours_is_others() {
        let times = |all, busy, own| Times { all, busy, own };
        let (begin, end) = (times(100, 50, 10), times(300, 200, 60));
        assert_eq!(others(begin, end), 0.5);
        assert_eq!(others(begin, times(300, 60, 30)), 0.0);
        assert_eq!(others(begin, begin), 0.0);
    }

    #[test]
    fn this_host_can_be_watched() {
        let share = Watch::start().unwrap().others().unwrap();
        assert!((0.0..=1.0).contains(&share), "{share}");
    }
}
