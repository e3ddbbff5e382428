//! Views: who is in the cluster, and who of them decides.

use crate::ids::{Address, ClusterId, Identity, Incarnation, SLOTS, SlotSet};
use crate::mutants::mutated;
use alloc::vec::Vec;
use core::num::NonZero;
use darner_coherence::{Epoch, NodeId, PageIndex, Slices};

/// A node, as all know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Member {
    /// Its number.
    pub node: NodeId,
    /// Which life of it.
    pub incarnation: Incarnation,
    /// Where it is reached.
    pub address: Address,
    /// Whether it stays.
    pub standing: Standing,
}

impl Member {
    /// Who it is.
    #[must_use]
    pub fn identity(&self) -> Identity {
        Identity {
            node: self.node,
            incarnation: self.incarnation,
        }
    }
}

/// Whether a member stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// It does.
    Active,
    /// It wants to leave: nothing new is to be given to it.
    Draining,
}

/// What half of a view's members may do, if they are no more than half.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TieBreak {
    /// Nothing: of two nodes both are needed.
    Strict,
    /// The half with the lowest number in the view goes on; of two nodes the lower one.
    Lowest,
}

/// Who is in the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct View {
    /// Which cluster.
    pub cluster: ClusterId,
    /// The number of the view. The first is 1, and each follows from the one before.
    pub epoch: Epoch,
    /// What half of the members may do.
    pub tie_break: TieBreak,
    /// The members, by number.
    pub members: Vec<Member>,
    /// The slots that have, or had, a member, by number.
    pub slots: Vec<Slot>,
    /// The home of the slices of cluster memory of all other slots.
    pub unused_home: NodeId,
}

/// A slot that has, or had, a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    /// The slot.
    pub node: NodeId,
    /// The home of its slice of cluster memory.
    pub home: NodeId,
    /// The last life of its that was a member.
    pub last: Incarnation,
}

impl View {
    /// The view of a cluster that has only just begun.
    #[must_use]
    pub fn founded(cluster: ClusterId, tie_break: TieBreak, founder: Member) -> Self {
        let nobody = Self {
            cluster,
            epoch: Epoch(0),
            tie_break,
            members: Vec::new(),
            slots: Vec::new(),
            unused_home: founder.node,
        };
        nobody.next(Vec::from([founder]))
    }

    /// The view after this one, of these members.
    #[must_use]
    pub fn next(&self, mut members: Vec<Member>) -> Self {
        members.sort_unstable();
        let home = |slot: NodeId, before: NodeId| {
            let standing = members.iter().find(|member| member.node == before);
            let standing = standing.map(|member| member.standing);
            let heir = heir(slot, &members);
            // One that is to leave hands its slices over while it is there, unless all are.
            let stays = heir.is_none_or(|heir| heir.standing == Standing::Draining);
            match standing {
                Some(Standing::Active) => before,
                Some(Standing::Draining) if stays => before,
                _ => heir.map_or(before, |heir| heir.node),
            }
        };
        let mut slots: Vec<Slot> = self.slots.clone();
        for slot in &mut slots {
            slot.home = home(slot.node, slot.home);
        }
        for member in &members {
            match slots.iter_mut().find(|slot| slot.node == member.node) {
                Some(slot) => slot.last = member.incarnation,
                None => slots.push(Slot {
                    node: member.node,
                    home: member.node,
                    last: member.incarnation,
                }),
            }
        }
        slots.sort_unstable();
        Self {
            cluster: self.cluster,
            epoch: Epoch(self.epoch.0 + 1),
            tie_break: self.tie_break,
            unused_home: home(self.unused_home, self.unused_home),
            slots,
            members,
        }
    }

    /// What is known of a slot, if it ever had a member.
    #[must_use]
    pub fn slot(&self, node: NodeId) -> Option<&Slot> {
        self.slots.iter().find(|slot| slot.node == node)
    }

    /// The home of a slot's slice of cluster memory.
    #[must_use]
    pub fn home(&self, node: NodeId) -> NodeId {
        self.slot(node).map_or(self.unused_home, |slot| slot.home)
    }

    /// The member with this number.
    #[must_use]
    pub fn member(&self, node: NodeId) -> Option<&Member> {
        let found = self
            .members
            .binary_search_by_key(&node, |member| member.node);
        found.ok().map(|index| &self.members[index])
    }

    /// Whether this life of this node is a member.
    #[must_use]
    pub fn has(&self, who: Identity) -> bool {
        self.member(who.node)
            .is_some_and(|member| member.incarnation == who.incarnation)
    }

    /// Whether this life was a member, or a later one of the same node was, and is not any more.
    #[must_use]
    pub fn is_past(&self, who: Identity) -> bool {
        let last = self.slot(who.node).map(|slot| slot.last);
        !self.has(who) && last.is_some_and(|last| who.incarnation <= last)
    }

    /// All members' slots.
    #[must_use]
    pub fn nodes(&self) -> SlotSet {
        self.members.iter().map(|member| member.node).collect()
    }

    /// Slots whose members are not in `next`.
    #[must_use]
    pub fn gone_in(&self, next: &Self) -> SlotSet {
        let gone = |member: &&Member| !next.has(member.identity());
        let members = self.members.iter().filter(gone);
        members.map(|member| member.node).collect()
    }

    /// Whether these decide: any two sets that do have a member in common.
    #[must_use]
    pub fn is_quorum(&self, slots: SlotSet) -> bool {
        let members = self.members.iter().map(|member| member.node);
        let present = members.filter(|&node| slots.contains(node)).count();
        let twice = 2 * present;
        twice > self.members.len()
            || twice == self.members.len() && (self.breaks_tie(slots) || mutated!(HalfIsEnough))
    }

    fn breaks_tie(&self, slots: SlotSet) -> bool {
        let lowest = self.members.first().map(|member| member.node);
        self.tie_break == TieBreak::Lowest && lowest.is_some_and(|node| slots.contains(node))
    }

    /// The lowest slot that no node ever had; if there is none, that no member has.
    #[must_use]
    pub fn free_slot(&self) -> Option<NodeId> {
        let fresh = |&node: &NodeId| self.slot(node).is_none();
        let free = || {
            (0..SLOTS)
                .map(NodeId)
                .filter(|&node| self.member(node).is_none())
        };
        free().find(fresh).or_else(|| free().next())
    }

    /// Whether a view that a peer sent is one: members in order, each slot with a home among them.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let nodes = self.nodes();
        self.epoch.0 > 0
            && !self.members.is_empty()
            && self.members.is_sorted_by(|a, b| a.node < b.node)
            && self.members.iter().all(|member| member.node.0 < SLOTS)
            && self.slots.is_sorted_by(|a, b| a.node < b.node)
            && self
                .slots
                .iter()
                .all(|slot| slot.node.0 < SLOTS && nodes.contains(slot.home))
            && self
                .members
                .iter()
                .all(|member| self.slot(member.node).is_some())
            && nodes.contains(self.unused_home)
    }

    /// The view for the coherence of cluster memory, where each slot's slice has that many
    /// pages. See [`View::coherent`].
    #[must_use]
    pub fn for_coherence(&self, slice_pages: NonZero<u32>) -> darner_coherence::View {
        self.coherent(|slot| PageIndex(u64::from(slot.0) * u64::from(slice_pages.get())))
    }

    /// The view for the coherence of cluster memory, where each slot's slice begins at `start`: of
    /// slot 0 at page 0, and of each at a higher page than the one before.
    ///
    /// A slice leaves its home when that is no member any more, or drains and another does not. One whose slot never had a member goes
    /// to the first that it gets, which has to discard it before it is used.
    #[must_use]
    pub fn coherent(&self, start: impl Fn(NodeId) -> PageIndex) -> darner_coherence::View {
        darner_coherence::View {
            epoch: self.epoch,
            members: self.members.iter().map(|member| member.node).collect(),
            slices: slices(start, |slot| self.home(slot)),
        }
    }

    /// The view before the first one that `me` is in, as its coherence is to take it. It was the home
    /// of nothing, so the slices that it inherits are lost; but not its own slot's if nobody had that before.
    #[must_use]
    pub fn before_first(
        &self,
        me: NodeId,
        slot: FirstSlot,
        start: impl Fn(NodeId) -> PageIndex,
    ) -> darner_coherence::View {
        let nobody = NodeId(u16::MAX);
        let home = |of: NodeId| {
            let is_own = of == me && slot == FirstSlot::Fresh;
            let inherits = self.home(of) == me && !is_own;
            if inherits { nobody } else { self.home(of) }
        };
        darner_coherence::View {
            epoch: Epoch(self.epoch.0 - 1),
            members: Vec::new(),
            slices: slices(start, home),
        }
    }
}

/// What a node finds in the slot that it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstSlot {
    /// Nobody had it before.
    Fresh,
    /// An earlier life had it.
    Used,
}

fn slices(start: impl Fn(NodeId) -> PageIndex, home: impl Fn(NodeId) -> NodeId) -> Slices {
    let slots = (0..SLOTS).map(NodeId);
    let slices = slots.map(|slot| (start(slot), home(slot))).collect();
    Slices::new(slices).expect("slices begin at 0, in order")
}

/// Who gets the slice of `slot` when its home has died, or drains: the next member, all around; one that
/// stays, if there is one.
fn heir(slot: NodeId, members: &[Member]) -> Option<&Member> {
    let after = members.partition_point(|member| member.node <= slot);
    let around = || members[after..].iter().chain(&members[..after]);
    around()
        .find(|member| member.standing == Standing::Active)
        .or_else(|| around().next())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn member(node: u16) -> Member {
        Member {
            node: NodeId(node),
            incarnation: Incarnation(1),
            address: Address::default(),
            standing: Standing::Active,
        }
    }

    fn view(nodes: &[u16], tie_break: TieBreak) -> View {
        View::founded(ClusterId(1), tie_break, member(nodes[0]))
            .next(nodes.iter().map(|&node| member(node)).collect())
    }

    fn set(nodes: &[u16]) -> SlotSet {
        nodes.iter().map(|&node| NodeId(node)).collect()
    }

    #[test]
    fn the_lowest_breaks_a_tie() {
        let two = view(&[3, 5], TieBreak::Lowest);
        assert!(two.is_quorum(set(&[3])) && !two.is_quorum(set(&[5])));
        let strict = view(&[3, 5], TieBreak::Strict);
        assert!(!strict.is_quorum(set(&[3])) && strict.is_quorum(set(&[3, 5])));
    }

    #[test]
    fn strangers_do_not_count() {
        assert!(!view(&[0, 1, 2], TieBreak::Lowest).is_quorum(set(&[0, 7, 8])));
    }

    #[test]
    fn a_slice_stays_until_its_home_is_gone() {
        let three = view(&[0, 1, 2], TieBreak::Lowest);
        assert_eq!(three.home(NodeId(1)), NodeId(1));
        assert_eq!(three.home(NodeId(9)), NodeId(0));
        let two = three.next(vec![member(0), member(2)]);
        assert_eq!(two.home(NodeId(1)), NodeId(2));
        let back = two.next(vec![member(0), member(1), member(2)]);
        assert_eq!(back.home(NodeId(1)), NodeId(2));
        let late = back.next(vec![member(0), member(1), member(2), member(9)]);
        assert_eq!(late.home(NodeId(9)), NodeId(9));
        let coherent = late.for_coherence(NonZero::new(16).unwrap());
        assert_eq!(coherent.slices.home(PageIndex(9 * 16)), NodeId(9));
        assert_eq!(coherent.slices.home(PageIndex(u64::MAX)), NodeId(0));
    }

    #[test]
    fn a_slice_leaves_its_home_when_that_drains_and_another_stays() {
        let draining = |node| Member {
            standing: Standing::Draining,
            ..member(node)
        };
        let three = view(&[0, 1, 2], TieBreak::Lowest);
        let one = three.next(vec![member(0), draining(1), member(2)]);
        assert_eq!(one.home(NodeId(1)), NodeId(2));
        assert_eq!(one.home(NodeId(2)), NodeId(2));
        let left = one.next(vec![member(0), member(2)]);
        assert_eq!(left.slots, one.slots);
        let two = three.next(vec![member(0), draining(1), draining(2)]);
        assert_eq!([1, 2].map(|slot| two.home(NodeId(slot))), [NodeId(0); 2]);
        let all = three.next(vec![draining(0), draining(1), draining(2)]);
        assert_eq!(
            [0, 1, 2].map(|slot| all.home(NodeId(slot))),
            [0, 1, 2].map(NodeId)
        );
        let founder = three.next(vec![draining(0), member(1), member(2)]);
        assert_eq!(founder.home(NodeId(9)), NodeId(1));
    }

    #[test]
    fn unsound_views_are_told() {
        let good = view(&[0, 1], TieBreak::Lowest);
        assert!(good.is_sound());
        let mut twice = good.clone();
        twice.members.push(member(1));
        assert!(!twice.is_sound());
        let mut homeless = good.clone();
        homeless.slots.pop();
        assert!(!homeless.is_sound());
        let mut far = good;
        far.slots[1].home = NodeId(9);
        assert!(!far.is_sound());
    }

    proptest! {
        #[test]
        fn two_quorums_meet(nodes in 1..9_u16, one: u64, lowest: bool) {
            let tie_break = if lowest { TieBreak::Lowest } else { TieBreak::Strict };
            let view = view(&(0..nodes).collect::<Vec<_>>(), tie_break);
            let one = SlotSet(one & ((1 << nodes) - 1));
            prop_assert!(!view.is_quorum(one) || !view.is_quorum(view.nodes().minus(one)));
        }
    }
}
