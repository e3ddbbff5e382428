//! One measured figure: its value, whom it is compared with, what it shall reach.

use std::borrow::Cow;
use std::fmt;

use serde_json::Value;

/// What a value shall reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// Less than this.
    Under(f64),
    /// This or less.
    AtMost(f64),
    /// This or more.
    AtLeast(f64),
    /// To be at least this many times as good as the peer.
    Ratio(f64),
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Under(limit) => write!(f, "< {limit}"),
            Self::AtMost(limit) => write!(f, "<= {limit}"),
            Self::AtLeast(limit) => write!(f, ">= {limit}"),
            Self::Ratio(least) => write!(f, "ratio >= {least}"),
        }
    }
}

/// The same figure of another system, measured the same way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peer {
    /// What it is called.
    pub name: &'static str,
    /// Its value.
    pub value: f64,
}

/// Which of two values is the better one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// As of what something costs.
    Smaller,
    /// As of speeds.
    Bigger,
}

/// A figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// Group and figure, as in `boot/elf_bytes`.
    pub name: Cow<'static, str>,
    /// What was measured.
    pub value: f64,
    /// What it is counted in.
    pub unit: &'static str,
    /// Which values are better.
    pub better: Better,
    /// Whom it is compared with.
    pub peer: Option<Peer>,
    /// What it shall reach.
    pub goal: Option<Goal>,
}

impl Figure {
    /// A value, the smaller the better, compared with nothing.
    pub fn new(name: impl Into<Cow<'static, str>>, value: f64, unit: &'static str) -> Self {
        Self {
            name: name.into(),
            value,
            unit,
            better: Better::Smaller,
            peer: None,
            goal: None,
        }
    }

    /// Makes it one that is the better the bigger it is.
    pub fn bigger_is_better(self) -> Self {
        Self {
            better: Better::Bigger,
            ..self
        }
    }

    /// Compares it with this system.
    pub fn peer(self, name: &'static str, value: f64) -> Self {
        Self {
            peer: Some(Peer { name, value }),
            ..self
        }
    }

    /// Sets what it shall reach.
    pub fn goal(self, goal: Goal) -> Self {
        Self {
            goal: Some(goal),
            ..self
        }
    }

    /// How many times better than the peer's: 2 is half the peer's value, or twice that if
    /// bigger is better.
    pub fn ratio(&self) -> Option<f64> {
        let peer = self.peer?.value;
        Some(match self.better {
            Better::Smaller => peer / self.value,
            Better::Bigger => self.value / peer,
        })
    }

    /// Whether the goal is reached, if there is one.
    pub fn is_reached(&self) -> Option<bool> {
        Some(match self.goal? {
            Goal::Under(limit) => self.value < limit,
            Goal::AtMost(limit) => self.value <= limit,
            Goal::AtLeast(limit) => self.value >= limit,
            Goal::Ratio(least) => self.ratio()? >= least,
        })
    }

    /// As one line of JSON. The fields keep this order, for readers that are people.
    pub fn json(&self) -> String {
        let mut fields = vec![
            ("figure", Value::from(&*self.name)),
            ("value", Value::from(self.value)),
            ("unit", Value::from(self.unit)),
        ];
        if let (Some(peer), Some(ratio)) = (self.peer, self.ratio()) {
            fields.extend([
                ("peer", Value::from(peer.name)),
                ("peer_value", number(peer.value)),
                ("ratio", Value::from(ratio)),
            ]);
        }
        let fields: Vec<String> = fields
            .into_iter()
            .map(|(name, value)| format!("{}: {value}", Value::from(name)))
            .collect();
        format!("{{{}}}", fields.join(", "))
    }
}

/// A whole number as one, without a fraction of 0.
fn number(value: f64) -> Value {
    match value as i64 {
        whole if whole as f64 == value => Value::from(whole),
        _ => Value::from(value),
    }
}

#[cfg(test)]
mod tests {
    use super::{Figure, Goal};

    #[test]
    fn json_is_to_the_letter() {
        let figure = Figure::new("boot/elf_bytes", 935_858.0, "bytes");
        assert_eq!(
            figure.json(),
            r#"{"figure": "boot/elf_bytes", "value": 935858.0, "unit": "bytes"}"#
        );
        assert_eq!(
            Figure::new("boot/elf_bytes", 1_000_000.0, "bytes")
                .peer("hermit", 842_272.0)
                .json(),
            r#"{"figure": "boot/elf_bytes", "value": 1000000.0, "unit": "bytes", "peer": "hermit", "peer_value": 842272, "ratio": 0.842272}"#
        );
        assert!(
            Figure::new("a/b", 1.0, "x")
                .peer("y", 2.5)
                .json()
                .ends_with(r#""peer_value": 2.5, "ratio": 2.5}"#)
        );
    }

    #[test]
    fn bigger_ratios_are_better() {
        let figure = Figure::new("boot/elf_bytes", 421_136.0, "bytes").peer("hermit", 842_272.0);
        assert_eq!(figure.ratio(), Some(2.0));
        assert_eq!(figure.bigger_is_better().ratio(), Some(0.5));
        assert_eq!(Figure::new("a/b", 1.0, "x").ratio(), None);
    }

    #[test]
    fn a_limit_belongs_to_at_most_only() {
        let reached = |value, goal| Figure::new("a/b", value, "x").goal(goal).is_reached();
        assert_eq!(reached(5.0, Goal::Under(5.0)), Some(false));
        assert_eq!(reached(4.999, Goal::Under(5.0)), Some(true));
        assert_eq!(reached(5.0, Goal::AtMost(5.0)), Some(true));
        assert_eq!(reached(5.001, Goal::AtMost(5.0)), Some(false));
        assert_eq!(reached(5.0, Goal::AtLeast(5.0)), Some(true));
        assert_eq!(reached(4.999, Goal::AtLeast(5.0)), Some(false));
        let figure = Figure::new("a/b", 6.0, "x");
        assert_eq!(figure.is_reached(), None);
        assert_eq!(figure.goal(Goal::AtMost(5.0)).is_reached(), Some(false));
    }

    #[test]
    fn a_ratio_is_reached_beside_a_peer() {
        let figure = Figure::new("a/b", 4.0, "x").goal(Goal::Ratio(0.75));
        assert_eq!(figure.is_reached(), None);
        assert_eq!(figure.clone().peer("y", 3.0).is_reached(), Some(true));
        assert_eq!(figure.peer("y", 2.9).is_reached(), Some(false));
    }
}
