//! What the protocol costs as the cluster grows: messages for each operation, and memory of a
//! home for each of its pages.

use crate::fault::Faults;
use crate::oracle::Violation;
use crate::plan::{Agreement, Network, Plan, Workload};
use crate::time::MICROSECOND;
use crate::world::World;
use darner_coherence::{Adaptation, AgentLimits, HomeLimits, NodeId, locks, parking};

/// Kinds of work that are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Each node uses its own pages, and now and then those of the nodes beside it.
    Neighbours,
    /// The same, and now and then any page of all.
    Mixed,
    /// All read a few pages, and seldom write them.
    ReadMostly,
}

impl Work {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Neighbours, Self::Mixed, Self::ReadMostly];

    /// What it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Neighbours => "own pages and neighbours'",
            Self::Mixed => "own, neighbours' and any",
            Self::ReadMostly => "four pages, 1 in 100 writes",
        }
    }

    fn workload(self) -> Workload {
        let base = Workload {
            single: 3,
            update: 1,
            own: 85,
            neighbours: 15,
            writes: 30,
            think: MICROSECOND,
            hot_pages: 4,
            ..Workload::default()
        };
        match self {
            Self::Neighbours => base,
            Self::Mixed => Workload { any: 5, ..base },
            Self::ReadMostly => Workload {
                single: 1,
                update: 0,
                own: 0,
                neighbours: 0,
                hot: 1,
                writes: 1,
                ..base
            },
        }
    }
}

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// Messages for each operation of a thread.
    pub messages_per_op: f64,
    /// Bytes of a home's directory for each page that its node gives to the cluster.
    pub home_bytes_per_page: f64,
}

/// Pages of each node.
const PAGES: u64 = 16;
/// Operations of each node until measuring begins, and while it lasts: on average each page of its own
/// is used some times.
const OPS: u64 = 100;

/// Measures a kind of work at so many nodes, with nothing going wrong.
///
/// # Errors
///
/// What was wrong, if something was.
pub fn measure(work: Work, nodes: u16) -> Result<Cost, Violation> {
    let mut world = World::drawn(plan(work, nodes));
    let ops = OPS * u64::from(nodes);
    let before = world.play_ops(ops)?;
    let after = world.play_ops(ops)?;
    let messages = (after.messages - before.messages) as f64;
    let bytes: usize = (0..nodes)
        .map(|node| world.node(NodeId(node)).home().directory().bytes_in_use())
        .sum();
    Ok(Cost {
        messages_per_op: messages / (after.ops - before.ops) as f64,
        home_bytes_per_page: bytes as f64 / (PAGES * u64::from(nodes)) as f64,
    })
}

fn plan(work: Work, nodes: u16) -> Plan {
    Plan {
        seed: 1,
        nodes,
        numbers: nodes,
        pages: PAGES * u64::from(nodes),
        threads: 1,
        home: HomeLimits {
            records: 4 * PAGES as usize,
            moved: 16,
        },
        agent: AgentLimits {
            hold: 10,
            run: 1,
            moved: 16,
        },
        adaptation: Adaptation::Off,
        locks: locks::Limits {
            records: 32,
            parked: 1,
            leases: 8,
            locks: 1,
        },
        locked_homes: 1,
        objects: 1,
        parking: parking::Limits {
            waiters: 1,
            generations: 1,
            threads: 1,
            known: 1,
        },
        words: 1,
        agreement: Agreement::Given,
        workload: work.workload(),
        network: Network {
            least: 10 * MICROSECOND,
            most: 20 * MICROSECOND,
            late: 0,
            latest: 0,
        },
        shootdown: 0,
        faults: Faults::none(),
        steps: u64::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_neighbours_do_costs_no_more_in_a_larger_cluster() {
        let small = measure(Work::Neighbours, 8).unwrap();
        let large = measure(Work::Neighbours, 48).unwrap();
        assert!(small.messages_per_op > 0.1, "{small:?}");
        let ratio = large.messages_per_op / small.messages_per_op;
        assert!(ratio < 1.25, "{small:?} {large:?}");
        assert!(large.home_bytes_per_page < 200.0, "{large:?}");
    }
}
