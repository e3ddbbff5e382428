//! Many times of the same operation, and what they come to.

use std::time::Duration;

use crate::report::Report;

/// Times that were measured.
#[derive(Default)]
pub struct Times(Vec<Duration>);

impl Times {
    /// One more.
    pub fn add(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// All of another's as well.
    pub fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Tells, in microseconds, the shortest, the median, the 99th percentile and the longest.
    pub fn report(mut self, report: Report) -> Report {
        self.0.sort_unstable();
        let micros = |time: Duration| time.as_nanos() as f64 / 1000.0;
        let at = |part: f64| {
            let last = self.0.len().saturating_sub(1) as f64;
            let time = self.0.get((last * part).round() as usize);
            micros(time.copied().unwrap_or_default())
        };
        report
            .number("min_us", at(0.0))
            .number("median_us", at(0.5))
            .number("p99_us", at(0.99))
            .number("max_us", at(1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_sorted_times() {
        let mut times = Times::default();
        for number in (0..=100).rev() {
            times.add(Duration::from_micros(number));
        }
        let json = times.report(Report::new("x")).json();
        assert_eq!(
            json,
            r#"{"test":"x","min_us":0,"median_us":50,"p99_us":99,"max_us":100}"#
        );
        let none = Times::default().report(Report::new("x")).json();
        assert!(none.contains("\"median_us\":0"));
    }
}
