//! What a measurement found.

use std::fmt;

/// Names and numbers.
#[derive(Debug)]
pub struct Report {
    test: &'static str,
    numbers: Vec<(&'static str, f64)>,
    errors: u64,
}

impl Report {
    /// A report of this measurement, without numbers.
    pub fn new(test: &'static str) -> Self {
        Self {
            test,
            numbers: Vec::new(),
            errors: 0,
        }
    }

    /// With one more number.
    pub fn number(mut self, name: &'static str, value: f64) -> Self {
        self.numbers.push((name, value));
        self
    }

    /// With a number of things that must not be.
    pub fn errors(mut self, name: &'static str, count: u64) -> Self {
        self.errors += count;
        self.number(name, count as f64)
    }

    /// Whether nothing was wrong.
    pub fn is_right(&self) -> bool {
        self.errors == 0
    }

    /// As one line of JSON.
    pub fn json(&self) -> String {
        let numbers = self.numbers.iter();
        let fields: String = numbers
            .map(|(name, value)| format!(",\"{name}\":{}", Shown(*value)))
            .collect();
        format!("{{\"test\":\"{}\"{fields}}}", self.test)
    }
}

/// For people: a number a line.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.test)?;
        for (name, value) in &self.numbers {
            writeln!(f, "  {name:<20} {}", Shown(*value))?;
        }
        Ok(())
    }
}

/// A number, to a thousandth if it is not whole.
struct Shown(f64);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            value if !value.is_finite() => f.write_str("0"),
            value if value.fract() == 0.0 => write!(f, "{value:.0}"),
            value => write!(f, "{value:.3}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_to_the_letter() {
        let report = Report::new("x").number("a", 1.0).number("b", 2.0 / 3.0);
        assert_eq!(report.json(), r#"{"test":"x","a":1,"b":0.667}"#);
        assert_eq!(
            report.to_string(),
            "x\n  a                    1\n  b                    0.667\n"
        );
        assert!(report.is_right());
        assert!(!report.errors("wrong", 1).is_right());
        assert!(Report::new("x").number("a", f64::NAN).json().contains(":0"));
    }
}
