//! Links that are broken between members that both live.
//!
//! Each member says whom it hears. If two members do not hear each other, and others hear both, one of the two has to go,
//! for the whole cluster works only if all hear all. All who hear the same choose the same one: the one with the most
//! broken links, of equals the one with the highest number.

use super::inside::Inside;
use crate::ids::{Nanos, SlotSet};
use alloc::collections::BTreeMap;
use darner_coherence::NodeId;

/// Members that others do not hear.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Partial {
    /// Who would have to go, and since when.
    since: BTreeMap<NodeId, Nanos>,
    /// Who has to go.
    gone: SlotSet,
}

impl Partial {
    /// Members that have to go.
    pub(super) fn gone(&self) -> SlotSet {
        self.gone
    }

    pub(super) fn has_to_go(&self, node: NodeId) -> bool {
        self.gone.contains(node)
    }
}

impl Inside {
    /// Looks for members that have to go.
    pub(super) fn look_at_connections(&mut self, now: Nanos) {
        if self.peers.len() < 2 {
            return;
        }
        let worst = worst(self.reports(now));
        let since = &mut self.partial.since;
        since.retain(|&node, _| worst.contains(node));
        for node in worst.iter() {
            since.entry(node).or_insert(now);
        }
        let long = since
            .iter()
            .filter(|&(_, &since)| now.since(since) >= self.times.partial);
        self.partial.gone = long.map(|(&node, _)| node).collect();
    }

    /// Whom each member hears that is heard; this node and all that it has not heard in this
    /// view hear everyone.
    fn reports(&self, now: Nanos) -> BTreeMap<NodeId, SlotSet> {
        let lives = |heard: Nanos| now.since(heard) <= self.times.suspect;
        let peers = self.peers.iter().filter(|(_, peer)| lives(peer.heard));
        let reports = peers.map(|(&node, peer)| {
            let hears = if peer.greeted {
                peer.hears
            } else {
                self.view.nodes()
            };
            (node, hears)
        });
        reports.chain([(self.me.node, self.view.nodes())]).collect()
    }
}

/// Those without whom all others hear each other.
fn worst(mut reports: BTreeMap<NodeId, SlotSet>) -> SlotSet {
    let mut gone = SlotSet::EMPTY;
    loop {
        let broken = |node: NodeId, hears: SlotSet| {
            let others = reports.iter();
            others
                .filter(|&(&other, theirs)| !hears.contains(other) || !theirs.contains(node))
                .count()
        };
        let counts = reports
            .iter()
            .map(|(&node, &hears)| (broken(node, hears), node));
        match counts.max() {
            Some((count, node)) if count > 0 => {
                gone = gone.with(node);
                reports.remove(&node);
            }
            _ => return gone,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(nodes: &[u16]) -> SlotSet {
        nodes.iter().map(|&node| NodeId(node)).collect()
    }

    fn reports(all: &[(u16, &[u16])]) -> BTreeMap<NodeId, SlotSet> {
        all.iter()
            .map(|&(node, hears)| (NodeId(node), set(hears)))
            .collect()
    }

    #[test]
    fn nobody_goes_if_all_hear_all() {
        let all: &[u16] = &[0, 1, 2];
        assert_eq!(
            worst(reports(&[(0, all), (1, all), (2, all)])),
            SlotSet::EMPTY
        );
    }

    #[test]
    fn of_two_the_higher_goes() {
        let cut = reports(&[(0, &[0, 1, 2]), (1, &[0, 1]), (2, &[0, 2])]);
        assert_eq!(worst(cut), set(&[2]));
    }

    #[test]
    fn who_is_worst_connected_goes() {
        let cut = reports(&[
            (0, &[0, 3]),
            (1, &[1, 2, 3]),
            (2, &[1, 2, 3]),
            (3, &[0, 1, 2, 3]),
        ]);
        assert_eq!(worst(cut), set(&[0]));
    }

    #[test]
    fn one_deaf_ear_is_enough() {
        let cut = reports(&[(0, &[0, 1, 2]), (1, &[0, 1]), (2, &[0, 1, 2])]);
        assert_eq!(worst(cut), set(&[2]));
    }
}
