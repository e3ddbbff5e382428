//! What a node that is to leave does beside all else, and what the others do for it.

use alloc::vec::Vec;

use darner_cluster::Standing;
use darner_coherence::{Event, NodeId};

use super::{Answer, Engine};
use crate::cluster::record::Kind;
use crate::cluster::{Reply, calls, nodes};

/// How many pages are given up at a time. Those that were written are on their way then, each of them.
const BATCH: usize = 256;
/// When to look again whether they have arrived, in ns.
const LOOK_AGAIN: u64 = 200_000;

/// How far this node is, and which others tell it that they leave.
#[derive(Default)]
pub(super) struct Departing {
    /// Who waits until this node knows that all have agreed that a node drains.
    agreed: Vec<(NodeId, Answer)>,
    /// Who waits until it has nothing any more.
    emptied: Option<Answer>,
    /// Whether it leaves as soon as it has nothing.
    resigns: bool,
    /// Nodes that leave, and their calls, which are to be answered when this one has nothing of theirs.
    others: Vec<(NodeId, u64)>,
}

impl Engine {
    /// A node drains, if it is this one from now on. Answered when that is known here.
    pub(super) fn drain(&mut self, node: NodeId, answer: Answer) {
        self.departing.agreed.push((node, answer));
        if node == self.config.me {
            self.members.drain(&mut self.links);
        }
    }

    /// This node is to give up all that it has.
    pub(super) fn empty(&mut self, answer: Answer) {
        self.departing.emptied = Some(answer);
    }

    /// This node is to leave.
    pub(super) fn resign(&mut self) {
        self.departing.resigns = true;
    }

    /// Another node leaves, which has nothing of the program any more.
    pub(super) fn departs(&mut self, node: NodeId, call: u64) {
        nodes::set_departed(node);
        self.departing.others.push((node, call));
    }

    /// Goes on with all this. When to look again at the latest.
    pub(super) fn depart(&mut self, now: u64) -> Option<u64> {
        self.let_others_go(now);
        let view = self.members.view();
        let stays = |node: NodeId| {
            let member = view.and_then(|view| view.member(node));
            member.is_some_and(|member| member.standing == Standing::Active)
        };
        let agreed = &mut self.departing.agreed;
        for (_, answer) in agreed.extract_if(.., |&mut (node, _)| !stays(node)) {
            let _ = answer.reply(Reply::Done);
        }
        if self.departing.emptied.is_none() && !self.departing.resigns {
            return None;
        }
        if self.has_nothing() {
            if let Some(answer) = self.departing.emptied.take() {
                let _ = answer.reply(Reply::Done);
            } else if core::mem::take(&mut self.departing.resigns) {
                self.members.leave(&mut self.links);
            }
            return None;
        }
        self.give_up(now);
        Some(now + LOOK_AGAIN)
    }

    fn has_nothing(&self) -> bool {
        let has_pages = |node: &darner_coherence::Node| !node.has_nothing();
        !self.node.as_ref().is_some_and(has_pages) && calls::is_all_given_back()
    }

    /// Gives up some pages, if none of those before is under way any more.
    fn give_up(&mut self, now: u64) {
        let agent = self.node.as_ref().map(darner_coherence::Node::agent);
        if agent.is_some_and(|agent| !agent.gives_up()) {
            self.happens(now, Event::Depart { pages: BATCH }, None);
        }
    }

    /// Answers those who leave, and have nothing that would be missed here.
    fn let_others_go(&mut self, now: u64) {
        let waiting = self.departing.others.iter().map(|&(other, _)| other);
        for node in waiting.collect::<Vec<NodeId>>() {
            self.happens(now, Event::Departed { node }, None);
        }
        let Some(node) = &self.node else { return };
        let missed = |&(other, _): &(NodeId, u64)| node.home().would_miss(other);
        let others = &mut self.departing.others;
        let go: Vec<(NodeId, u64)> = others.extract_if(.., |other| !missed(other)).collect();
        for (node, call) in go {
            self.send(node, Kind::Answer, call, [0; 8]);
        }
    }
}
