//! The text that orders faults: `loss=1%,delay=5ms±2ms,partition=0,1|2@10s..20s`, or the
//! same keys and values as TOML.

use std::fmt;
use std::time::Duration;

use super::{Faults, Probability, Rate};
use crate::core::{Change, Link};
use crate::{Partition, PortId, Time};

/// Why a text orders nothing: what was found, what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecError(String);

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SpecError {}

type Result<T> = std::result::Result<T, SpecError>;

fn wrong<T>(found: impl fmt::Display, expected: &str) -> Result<T> {
    Err(SpecError(format!("found `{found}`, expected {expected}")))
}

/// Faults for a switch, from its start on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// By port.
    pub ports: Vec<Faults>,
    /// What changes later, in order of time.
    pub schedule: Vec<(Time, Change)>,
}

impl Plan {
    /// A perfect network.
    pub fn none(ports: usize) -> Self {
        Self {
            ports: vec![Faults::NONE; ports],
            schedule: Vec::new(),
        }
    }

    /// Reads the compact text.
    ///
    /// # Errors
    /// What was found, and what was expected in its place.
    pub fn parse(text: &str, ports: usize) -> Result<Self> {
        let mut items: Vec<(String, String)> = Vec::new();
        for piece in text.split(',') {
            match (piece.split_once('='), items.last_mut()) {
                (Some((key, value)), _) => {
                    items.push((key.trim().to_owned(), value.trim().to_owned()));
                }
                // A value may have commas, too.
                (None, Some((_, value))) => {
                    value.push(',');
                    value.push_str(piece.trim());
                }
                (None, None) => return wrong(piece, "KEY=VALUE, as in loss=1%"),
            }
        }
        Builder::build(items, ports)
    }

    /// Reads a TOML file's content: keys as in the compact text, those of one port in a
    /// table `[n0]`, several partitions as an array of texts.
    ///
    /// # Errors
    /// What was found, and what was expected in its place.
    pub fn parse_toml(text: &str, ports: usize) -> Result<Self> {
        let table: toml::Table = text
            .parse()
            .map_err(|error: toml::de::Error| SpecError(error.to_string()))?;
        let mut items = Vec::new();
        collect("", &table, &mut items)?;
        Builder::build(items, ports)
    }
}

fn collect(prefix: &str, table: &toml::Table, items: &mut Vec<(String, String)>) -> Result<()> {
    for (key, value) in table {
        let key = format!("{prefix}{key}");
        match value {
            toml::Value::Table(table) if prefix.is_empty() => {
                collect(&format!("{key}."), table, items)?;
            }
            toml::Value::Array(values) => {
                for value in values {
                    items.push((key.clone(), scalar(&key, value)?));
                }
            }
            value => items.push((key.clone(), scalar(&key, value)?)),
        }
    }
    Ok(())
}

fn scalar(key: &str, value: &toml::Value) -> Result<String> {
    match value {
        toml::Value::String(text) => Ok(text.clone()),
        toml::Value::Integer(number) => Ok(number.to_string()),
        toml::Value::Float(number) => Ok(number.to_string()),
        other => wrong(
            format!("{key} = ({})", other.type_str()),
            "a text or a number",
        ),
    }
}

/// A part of the run's time.
#[derive(Clone, Copy)]
struct Span {
    from: Time,
    until: Option<Time>,
}

impl Span {
    fn overlaps(self, other: Self) -> bool {
        let begins_before_end = |a: Self, b: Self| b.until.is_none_or(|until| a.from < until);
        begins_before_end(self, other) && begins_before_end(other, self)
    }
}

struct Builder {
    ports: Vec<Faults>,
    schedule: Vec<(Time, Change)>,
    partitions: Vec<Span>,
    downs: Vec<(PortId, Span)>,
}

impl Builder {
    fn build(items: Vec<(String, String)>, ports: usize) -> Result<Plan> {
        let mut builder = Self {
            ports: vec![Faults::NONE; ports],
            schedule: Vec::new(),
            partitions: Vec::new(),
            downs: Vec::new(),
        };
        // What is said of one port counts more than what is said of all.
        let (of_one, of_all): (Vec<_>, Vec<_>) =
            items.into_iter().partition(|(key, _)| key.contains('.'));
        for (key, value) in of_all.iter().chain(&of_one) {
            builder.take(key, value)?;
        }
        builder.check()?;
        builder.schedule.sort_by_key(|(time, _)| *time);
        Ok(Plan {
            ports: builder.ports,
            schedule: builder.schedule,
        })
    }

    fn take(&mut self, key: &str, value: &str) -> Result<()> {
        match key {
            "partition" => return self.partition(value),
            "down" => return self.down(value),
            _ => {}
        }
        match key.split_once('.') {
            Some((port, key)) => {
                let port = self.port(port.strip_prefix('n').unwrap_or(port))?;
                set(&mut self.ports[port.index()], key, value)
            }
            None => {
                for faults in &mut self.ports {
                    set(faults, key, value)?;
                }
                Ok(())
            }
        }
    }

    fn partition(&mut self, value: &str) -> Result<()> {
        let (sets, span) = span(value)?;
        let sets = sets
            .split('|')
            .map(|set| set.split(',').map(|port| self.port(port)).collect())
            .collect::<Result<Vec<Vec<PortId>>>>()?;
        let count = self.ports.len();
        let Some(partition) = Partition::of(count, &sets) else {
            return wrong(format!("partition={value}"), "every node in one set only");
        };
        self.partitions.push(span);
        self.schedule
            .push((span.from, Change::Partition(partition)));
        if let Some(until) = span.until {
            let whole = Change::Partition(Partition::whole(count));
            self.schedule.push((until, whole));
        }
        Ok(())
    }

    fn down(&mut self, value: &str) -> Result<()> {
        let (ports, span) = span(value)?;
        for port in ports.split(',') {
            let port = self.port(port)?;
            self.downs.push((port, span));
            self.schedule
                .push((span.from, Change::Link(port, Link::Down)));
            if let Some(until) = span.until {
                self.schedule.push((until, Change::Link(port, Link::Up)));
            }
        }
        Ok(())
    }

    fn port(&self, text: &str) -> Result<PortId> {
        let number = text.trim().parse().ok();
        match number.filter(|number: &u16| usize::from(*number) < self.ports.len()) {
            Some(number) => Ok(PortId(number)),
            None => wrong(
                text,
                &format!("a node, 0 to {}", self.ports.len().saturating_sub(1)),
            ),
        }
    }

    /// Refuses what contradicts itself.
    fn check(&self) -> Result<()> {
        for (number, span) in self.partitions.iter().enumerate() {
            let others = &self.partitions[..number];
            if others.iter().any(|other| other.overlaps(*span)) {
                return wrong("two partitions at the same time", "one after the other");
            }
        }
        for (number, (port, span)) in self.downs.iter().enumerate() {
            let others = &self.downs[..number];
            if others
                .iter()
                .any(|(other, at)| other == port && at.overlaps(*span))
            {
                return wrong(
                    format!("{port} down twice at the same time"),
                    "one after the other",
                );
            }
        }
        Ok(())
    }
}

fn set(faults: &mut Faults, key: &str, value: &str) -> Result<()> {
    match key {
        "loss" => faults.loss = probability(value)?,
        "reorder" => faults.reorder = probability(value)?,
        "dup" => faults.duplicate = probability(value)?,
        "corrupt" => faults.corrupt = probability(value)?,
        "reset" => faults.reset = probability(value)?,
        "delay" => (faults.delay, faults.jitter) = spread(value)?,
        "rate" => faults.rate = Some(rate(value)?),
        "queue" => faults.queue = size(value)?,
        other => {
            return wrong(
                other,
                "loss, delay, reorder, dup, corrupt, reset, rate, queue, partition or down",
            );
        }
    }
    Ok(())
}

/// `1%`, `0.5%`, or `0.01`.
fn probability(text: &str) -> Result<Probability> {
    let (digits, unit) = match text.strip_suffix('%') {
        Some(digits) => (digits, 100.0),
        None => (text, 1.0),
    };
    let value = digits.trim().parse().ok();
    match value.and_then(|value: f64| Probability::new(value / unit)) {
        Some(probability) => Ok(probability),
        None => wrong(text, "a share, as in 1% or 0.01"),
    }
}

/// Reads a time and what it may vary by: `5ms`, `5ms±2ms`, or, where that sign is not at hand,
/// `5ms+-2ms`.
///
/// # Errors
/// What was found, and what was expected in its place.
pub fn spread(text: &str) -> Result<(Duration, Duration)> {
    let (time, jitter) = match text.split_once('±').or_else(|| text.split_once("+-")) {
        Some((time, jitter)) => (duration(time)?, duration(jitter)?),
        None => (duration(text)?, Duration::ZERO),
    };
    match jitter <= time {
        true => Ok((time, jitter)),
        false => wrong(text, "a time that is at least as long as what it varies by"),
    }
}

fn duration(text: &str) -> Result<Duration> {
    const UNITS: [(&str, f64); 4] = [("ns", 1e-9), ("us", 1e-6), ("ms", 1e-3), ("s", 1.0)];
    let text = text.trim();
    let found = UNITS.iter().find_map(|(unit, seconds)| {
        let value: f64 = text.strip_suffix(unit)?.trim().parse().ok()?;
        Duration::try_from_secs_f64(value * seconds).ok()
    });
    match found.filter(|duration| *duration <= Duration::from_secs(86_400)) {
        Some(duration) => Ok(duration),
        None => wrong(text, "a time up to a day, as in 500us, 5ms or 10s"),
    }
}

/// `100Mbit`, that is, per second.
fn rate(text: &str) -> Result<Rate> {
    const UNITS: [(&str, f64); 4] = [("kbit", 1e3), ("mbit", 1e6), ("gbit", 1e9), ("bit", 1.0)];
    let lower = text.to_ascii_lowercase();
    let bits = UNITS.iter().find_map(|(unit, factor)| {
        let value: f64 = lower.strip_suffix(unit)?.trim().parse().ok()?;
        (1.0..=1e15)
            .contains(&(value * factor))
            .then_some((value * factor) as u64)
    });
    match bits.and_then(Rate::new) {
        Some(rate) => Ok(rate),
        None => wrong(text, "bits per second, as in 64kbit, 100Mbit or 1Gbit"),
    }
}

/// `64KiB`, or bytes.
fn size(text: &str) -> Result<usize> {
    let (digits, unit) = match text.strip_suffix("KiB") {
        Some(digits) => (digits, 1024),
        None => match text.strip_suffix("MiB") {
            Some(digits) => (digits, 1024 * 1024),
            None => (text, 1),
        },
    };
    let value = digits.trim().parse().ok();
    match value.and_then(|value: usize| value.checked_mul(unit)) {
        Some(bytes) if bytes >= crate::MAX_FRAME => Ok(bytes),
        _ => wrong(
            text,
            "bytes for at least one frame (9216), as in 65536 or 64KiB",
        ),
    }
}

/// What is before the `@`, and the time after it: all the time, where there is none.
fn span(text: &str) -> Result<(&str, Span)> {
    let Some((what, when)) = text.split_once('@') else {
        let always = Span {
            from: Time::ZERO,
            until: None,
        };
        return Ok((text, always));
    };
    let (from, until) = when.split_once("..").unwrap_or((when, ""));
    let from = match from.trim() {
        "" => Time::ZERO,
        from => duration(from)?,
    };
    let until = match until.trim() {
        "" => None,
        until => Some(duration(until)?),
    };
    if until.is_some_and(|until| until <= from) {
        return wrong(when, "an end after the beginning, as in 10s..20s");
    }
    Ok((what, Span { from, until }))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Plan;
    use crate::core::{Change, Link};
    use crate::{Faults, Partition, PortId, Probability, Rate};

    const ALL: &str = "loss=1%,delay=5ms±2ms,reorder=2%,dup=0.01,corrupt=0.1%,reset=0.3%,rate=100Mbit,\
                       queue=64KiB,partition=0,1|2@10s..20s,down=2@30s,n1.loss=0";

    #[test]
    fn one_line_orders_everything() {
        let plan = Plan::parse(ALL, 3).unwrap();
        let share = |value| Probability::new(value).unwrap();
        let bad = Faults {
            loss: share(0.01),
            delay: Duration::from_millis(5),
            jitter: Duration::from_millis(2),
            reorder: share(0.02),
            duplicate: share(0.01),
            corrupt: share(0.001),
            reset: share(0.003),
            rate: Rate::new(100_000_000),
            queue: 65536,
        };
        let better = Faults {
            loss: share(0.0),
            ..bad
        };
        assert_eq!(plan.ports, [bad, better, bad]);
        let sets = [vec![PortId(0), PortId(1)], vec![PortId(2)]];
        let apart = Partition::of(3, &sets).unwrap();
        let at = Duration::from_secs;
        assert_eq!(
            plan.schedule,
            [
                (at(10), Change::Partition(apart)),
                (at(20), Change::Partition(Partition::whole(3))),
                (at(30), Change::Link(PortId(2), Link::Down)),
            ]
        );
    }

    #[test]
    fn a_file_says_the_same() {
        let file = "loss = '1%'\ndelay = '5ms+-2ms'\nreorder = '2%'\ndup = 0.01\n\
                    corrupt = '0.1%'\nreset = '0.3%'\nrate = '100Mbit'\nqueue = 65536\n\
                    partition = ['0,1|2@10s..20s']\ndown = '2@30s'\n[n1]\nloss = 0\n";
        assert_eq!(Plan::parse_toml(file, 3), Plan::parse(ALL, 3));
        assert!(Plan::parse_toml("loss = true", 3).is_err());
        assert!(Plan::parse_toml("loss = ", 3).is_err());
        assert!(Plan::parse_toml("[n1.n2]\nloss = 0", 3).is_err());
        assert_eq!(Plan::parse_toml("", 3), Ok(Plan::none(3)));
    }

    #[test]
    fn what_orders_nothing_is_refused_with_a_reason() {
        for (text, reason) in [
            ("", "KEY=VALUE"),
            ("1%", "KEY=VALUE"),
            ("lost=1%", "found `lost`"),
            ("loss=101%", "found `101%`"),
            ("loss=-1", "found `-1`"),
            ("loss=NaN", "found `NaN`"),
            ("delay=5", "as in 500us"),
            ("delay=-5ms", "as in 500us"),
            ("delay=1ms±2ms", "at least as long"),
            ("delay=999999s", "up to a day"),
            ("rate=100", "as in 64kbit"),
            ("rate=0Mbit", "as in 64kbit"),
            ("queue=100", "at least one frame"),
            ("partition=0,1|3", "a node, 0 to 2"),
            ("partition=0|0", "one set only"),
            ("partition=0|1@20s..10s", "an end after"),
            ("partition=0|1,partition=0|2@5s", "two partitions"),
            ("down=0@..5s,down=0@4s..6s", "n0 down twice"),
            ("n7.loss=1%", "a node, 0 to 2"),
            ("n1.partition=0|1", "found `partition`"),
        ] {
            let error = Plan::parse(text, 3).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
