//! How many machines a system has, and what each is.

use std::fmt;

use serde::Deserialize;

/// Machines, and CPUs of each: `3x1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Topology {
    /// How many machines.
    pub nodes: u16,
    /// How many CPUs each has.
    pub cpus: u16,
}

impl fmt::Display for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.nodes, self.cpus)
    }
}

impl TryFrom<String> for Topology {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let number = |text: &str| text.parse().ok().filter(|count| (1..=64).contains(count));
        let counts = text.split_once('x');
        match counts.and_then(|(nodes, cpus)| Some((number(nodes)?, number(cpus)?))) {
            Some((nodes, cpus)) => Ok(Self { nodes, cpus }),
            None => Err(format!(
                "found `{text}`, expected NODESxCPUS, 1 to 64 of each, as in 3x1"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Topology;

    #[test]
    fn a_topology_is_two_numbers() {
        let topology = Topology::try_from("3x2".to_owned()).unwrap();
        assert_eq!((topology.nodes, topology.cpus), (3, 2));
        assert_eq!(topology.to_string(), "3x2");
        for text in ["", "3", "0x1", "1x65", "3x", "x3", "3x1x1", "-1x1"] {
            let error = Topology::try_from(text.to_owned()).unwrap_err();
            assert!(error.contains(text) && error.contains("3x1"), "{error}");
        }
    }
}
