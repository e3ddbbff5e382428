//! What the nodes of a cluster have counted, as a table for a person.

use core::fmt;

use crate::cluster::{Count, Direction, NodeStatistics};

/// The width of the column of names.
const NAMES: usize = 28;

/// The table: a column for each node, and one for all.
pub struct ClusterTable<'a>(&'a [NodeStatistics]);

impl<'a> ClusterTable<'a> {
    /// Of these nodes, the first is number 0.
    pub fn new(nodes: &'a [NodeStatistics]) -> Self {
        Self(nodes)
    }

    /// A line of numbers, if any of them is not 0.
    fn line(
        &self,
        f: &mut fmt::Formatter<'_>,
        indent: &str,
        name: &str,
        number: impl Fn(&NodeStatistics) -> u64,
    ) -> fmt::Result {
        let numbers = || self.0.iter().map(&number);
        if numbers().all(|number| number == 0) {
            return Ok(());
        }
        write!(f, "{indent}{name:0$}", NAMES - indent.len())?;
        for number in numbers() {
            write!(f, " {number:>11}")?;
        }
        writeln!(f, " {:>11}", numbers().sum::<u64>())
    }

    /// A line of times.
    fn percentile(&self, f: &mut fmt::Formatter<'_>, name: &str, percent: u64) -> fmt::Result {
        let mut all = NodeStatistics::default();
        self.0.iter().for_each(|node| all.add(node));
        write!(f, "{name:NAMES$}")?;
        for node in self.0.iter().chain([&all]) {
            match node.latency().percentile(percent) {
                Some(ns) => write!(f, " {:>11}", ns / 1000)?,
                None => write!(f, " {:>11}", "-")?,
            }
        }
        writeln!(f)
    }
}

impl fmt::Display for ClusterTable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:NAMES$}", "cluster memory")?;
        for node in 0..self.0.len() {
            let digits = node.checked_ilog10().map_or(1, |tens| tens as usize + 1);
            write!(f, " {:1$}n{node}", "", 10 - digits)?;
        }
        writeln!(f, " {:>11}", "all")?;
        for &count in Count::ALL {
            self.line(f, "", count.name(), |node| node[count])?;
            if matches!(count, Count::AskedOwn) {
                let (silent, own) = (
                    NodeStatistics::silent_upgrades,
                    NodeStatistics::silent_upgrades_own,
                );
                self.line(f, "", "silent_upgrades", silent)?;
                self.line(f, "", "silent_upgrades_own", own)?;
            }
        }
        // No line is no number, and this one is to be seen.
        if self.0.iter().all(|node| node[Count::Steals] == 0) {
            writeln!(f, "{:NAMES$} none", Count::Steals.name())?;
        }
        for (name, percent) in [
            ("fault_us_median", 50),
            ("fault_us_90_percent", 90),
            ("fault_us_99_percent", 99),
        ] {
            self.percentile(f, name, percent)?;
        }
        for (direction, messages, calls) in [
            (Direction::Sent, "messages_sent", "calls_sent"),
            (Direction::Received, "messages_received", "calls_received"),
        ] {
            self.line(f, "", messages, |node| node.messages(direction))?;
            for (place, (kind, _)) in NodeStatistics::default().by_kind(direction).enumerate() {
                self.line(f, "  ", kind, |node| {
                    node.by_kind(direction)
                        .nth(place)
                        .map_or(0, |(_, count)| count)
                })?;
            }
            self.line(f, "", calls, |node| {
                node.calls(direction).map(|(_, count)| count).sum()
            })?;
            for (place, (kind, _)) in NodeStatistics::default().calls(direction).enumerate() {
                self.line(f, "  ", kind, |node| {
                    node.calls(direction)
                        .nth(place)
                        .map_or(0, |(_, count)| count)
                })?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::ToString;

    use super::ClusterTable;
    use crate::cluster::{Count, Direction, NodeStatistics};

    #[test]
    fn there_is_a_column_for_each_node_and_one_for_all() {
        let mut nodes = [NodeStatistics::default(), NodeStatistics::default()];
        nodes[0][Count::ReadAway] = 3;
        nodes[1][Count::ReadAway] = 4;
        nodes[1].message(Direction::Sent, 1);
        nodes[1].waited(2_000_000);
        let table = ClusterTable::new(&nodes).to_string();
        let line = |name: &str| {
            let line = table.lines().find(|line| line.trim().starts_with(name));
            line.unwrap()
                .split_whitespace()
                .collect::<std::vec::Vec<_>>()
        };
        assert_eq!(
            line("cluster memory"),
            ["cluster", "memory", "n0", "n1", "all"]
        );
        assert_eq!(
            line("read_faults_away"),
            ["read_faults_away", "3", "4", "7"]
        );
        assert_eq!(line("get"), ["get", "0", "1", "1"]);
        assert_eq!(line("steals"), ["steals_before_retire", "none"]);
        assert!(!table.contains("write_back"), "{table}");
        assert_eq!(
            line("fault_us_median"),
            ["fault_us_median", "-", "2097", "2097"]
        );
        let ends = |line: &str| line.len();
        assert!(table.lines().take(2).map(ends).max() == table.lines().take(2).map(ends).min());
    }
}
