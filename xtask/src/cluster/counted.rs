//! What the nodes of one system have counted: a table, and a file.

use std::collections::BTreeMap;
use std::path::Path;

use darner_abi::{ClusterTable, Count, Direction, NodeStatistics};
use serde_json::{Map, Value, json};

use crate::error::{Context, Result};

/// By the nodes' numbers.
pub type Counted = BTreeMap<u16, NodeStatistics>;

/// Shows the table on standard error, and writes the file, if there is anything to tell.
pub fn tell(counted: &Counted, file: Option<&Path>) -> Result<()> {
    if let Some(&last) = counted.keys().last() {
        let nodes: Vec<NodeStatistics> = (0..=last)
            .map(|node| counted.get(&node).cloned().unwrap_or_default())
            .collect();
        eprint!("{}", ClusterTable::new(&nodes));
    }
    let Some(file) = file else { return Ok(()) };
    let text = format!("{:#}\n", json(counted));
    std::fs::write(file, text).context(|| format!("write {} (--stats-json)", file.display()))
}

/// An object for each node: what was counted by name; messages and calls by kind; times in ns.
pub fn json(counted: &Counted) -> Value {
    let nodes = counted.iter().map(|(&number, counted)| {
        let mut node = Map::new();
        node.insert("node".into(), number.into());
        for &count in Count::ALL {
            node.insert(count.name().into(), counted[count].into());
        }
        node.insert("silent_upgrades".into(), counted.silent_upgrades().into());
        node.insert(
            "silent_upgrades_own".into(),
            counted.silent_upgrades_own().into(),
        );
        let latency = counted.latency();
        for (name, percent) in [("50", 50), ("90", 90), ("99", 99)] {
            let ns = latency.percentile(percent);
            node.insert(format!("fault_ns_{name}_percent"), ns.into());
        }
        for (direction, name) in [(Direction::Sent, "sent"), (Direction::Received, "received")] {
            let messages = kinds(counted.by_kind(direction));
            node.insert(format!("messages_{name}"), messages);
            node.insert(format!("calls_{name}"), kinds(counted.calls(direction)));
        }
        Value::Object(node)
    });
    json!({ "nodes": nodes.collect::<Vec<_>>() })
}

fn kinds(counts: impl Iterator<Item = (&'static str, u64)>) -> Value {
    let counts = counts.filter(|&(_, count)| count > 0);
    let object: Map<String, Value> = counts
        .map(|(kind, count)| (kind.to_owned(), count.into()))
        .collect();
    object.into()
}

#[cfg(test)]
mod tests {
    use darner_abi::{Count, Direction, NodeStatistics};

    use super::{Counted, json};

    #[test]
    fn all_that_is_counted_is_in_the_file() {
        let mut node = NodeStatistics::default();
        node[Count::Steals] = 3;
        node.message(Direction::Sent, 1);
        node.waited(1_000_000);
        let file = json(&Counted::from([(4, node)]));
        let node = &file["nodes"][0];
        assert_eq!(node["node"], 4);
        assert_eq!(node["steals_before_retire"], 3);
        assert_eq!(node["messages_sent"]["get"], 1);
        assert_eq!(node["fault_ns_50_percent"], 1_048_576);
        assert!(node["messages_received"].as_object().unwrap().is_empty());
    }
}
