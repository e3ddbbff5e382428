//! Who is in the cluster, as this node sees it: [`darner_cluster::Node`], and what it needs.
//!
//! The nodes agree on *views*, by the packets that go over the links beside those of coherence. Lengths of
//! time (leases, silence) are measured by a clock that no other node puts forward.
//!
//! The lowest node founds the cluster; the others ask to be taken in. A number is used once: a node
//! that starts again with it is not taken in, for what it had given out of its slice of memory is still in use.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::IpAddr;

use darner_cluster::{
    Action, Address, ClusterId, Config, EndReason, Event, Identity, Incarnation, Limits, Member,
    MembershipMessage, MembershipNotice, Message, Nanos, Node, Notice, Packet, Standing, Start,
    StopReason, TieBreak, Times, View,
};
use darner_coherence::NodeId;

use super::FIRST;
use super::config::ClusterConfig;
use super::links::Links;
use super::nodes;
use crate::abi::entropy;
use crate::panic;
use crate::time::{monotonic_ns, uptime_ns};

/// How long a node may take to become a member, in ns.
pub const FORMATION: u64 = 90_000_000_000;

/// The node's part in agreeing on who is in the cluster.
pub struct Members {
    node: Node,
    /// When the node wants to hear of the time ([`uptime_ns`]).
    timer: Option<u64>,
    /// The lives that there are links to, by number.
    linked: Vec<Option<Incarnation>>,
    /// These have changed, or who is a member, and nobody has asked for it yet.
    has_link_change: bool,
    notices: VecDeque<MembershipNotice>,
    /// How long a node that does not hear enough others waits, in ns.
    patience: u64,
    /// When it has waited for so long ([`uptime_ns`]).
    give_up: Option<u64>,
}

impl Members {
    /// Has not started.
    pub fn new(config: &ClusterConfig, incarnation: Incarnation) -> Self {
        let me = Member {
            node: config.me,
            incarnation,
            address: address(config, config.me),
            standing: Standing::Active,
        };
        let others = (0..config.nodes).map(NodeId);
        let others = others.filter(|&node| node != config.me);
        let start = match config.me {
            FIRST => Start::Found {
                cluster: ClusterId(entropy::seed()),
                tie_break: TieBreak::Lowest,
            },
            _ => Start::Join {
                seeds: others.map(|node| address(config, node)).collect(),
            },
        };
        let times = times(config.silence);
        debug_assert_eq!(times.check(), Ok(()));
        Self {
            node: Node::new(&Config {
                me,
                start,
                times,
                limits: Limits::default(),
            }),
            timer: Some(0),
            linked: (0..config.nodes).map(|_| None).collect(),
            has_link_change: false,
            notices: VecDeque::new(),
            patience: config.silence,
            give_up: None,
        }
    }

    /// The view that this node is in.
    pub fn view(&self) -> Option<&View> {
        self.node.membership().view()
    }

    /// Begins, or does what is due.
    pub fn advance(&mut self, links: &mut Links) {
        let now = uptime_ns();
        if self.give_up.is_some_and(|at| now >= at) {
            no_majority();
        }
        self.compare_links(links);
        match self.timer {
            Some(0) => {
                self.timer = None;
                self.happens(Event::Started, links);
            }
            Some(at) if now >= at => {
                self.timer = None;
                self.happens(Event::TimeOver, links);
            }
            _ => {}
        }
    }

    /// This node has not listened for a while.
    pub fn stood_still(&mut self, links: &mut Links) {
        self.happens(Event::StoodStill, links);
    }

    /// This node is to leave: all agree that it is given nothing more.
    pub fn drain(&mut self, links: &mut Links) {
        self.happens(Event::Drain, links);
    }

    /// This node leaves, as it has nothing any more.
    pub fn leave(&mut self, links: &mut Links) {
        self.happens(Event::Leave, links);
    }

    /// When [`Self::advance`] has something to do again, by the monotonic clock in ns.
    pub fn deadline(&self) -> Option<u64> {
        let at = self.timer.into_iter().chain(self.give_up).min()?;
        Some(monotonic_ns().saturating_add(at.saturating_sub(uptime_ns())))
    }

    /// A packet has come.
    pub fn received(&mut self, from: NodeId, packet: Packet, links: &mut Links) {
        if let Message::Membership(MembershipMessage::Join { member }) = &packet.message
            && self.has_been_used(member)
        {
            log::warn!(
                "node {} was in the cluster and has been started again: its number cannot be used a second time, \
                 so start it with another one",
                member.node.0
            );
            return;
        }
        self.happens(Event::Received { from, packet }, links);
    }

    /// Whether links were made or lost, or members have come or gone, since this was last asked.
    pub fn take_link_change(&mut self) -> bool {
        core::mem::take(&mut self.has_link_change)
    }

    /// What the node says of itself and the others, once.
    pub fn take_notice(&mut self) -> Option<MembershipNotice> {
        self.notices.pop_front()
    }

    fn has_been_used(&self, member: &Member) -> bool {
        let slot = self.view().and_then(|view| view.slot(member.node));
        slot.is_some_and(|slot| slot.last != member.incarnation)
    }

    /// Tells the node of links that were made or lost.
    fn compare_links(&mut self, links: &mut Links) {
        for node in (0..self.linked.len() as u16).map(NodeId) {
            let index = usize::from(node.0);
            let is = links.incarnation(node);
            let was = core::mem::replace(&mut self.linked[index], is);
            if is == was {
                continue;
            }
            self.has_link_change = true;
            if let Some(incarnation) = was {
                let peer = Identity { node, incarnation };
                self.happens(Event::LinkDown { peer }, links);
            }
            if let Some(incarnation) = is {
                let peer = Identity { node, incarnation };
                self.happens(Event::LinkUp { peer }, links);
            }
        }
    }

    fn happens(&mut self, event: Event, links: &mut Links) {
        let mut actions = Vec::new();
        self.node.handle(Nanos(uptime_ns()), event, &mut actions);
        for action in actions {
            match action {
                Action::Send { to, packet } => match darner_wire::encode_cluster(&packet) {
                    Ok(whole) => links.send(to, [whole.bytes()].into_iter()),
                    Err(refusal) => log::error!("cannot say {packet:?}: {refusal}"),
                },
                // Links are made to all nodes that there may be.
                Action::Connect { .. } => {}
                // It says itself that it has left.
                Action::Disconnect { peer } if nodes::has_departed(peer.node) => {}
                Action::Disconnect { peer } => links.close(peer.node),
                Action::SetTimer { at } => self.timer = Some(at.0).filter(|&at| at != u64::MAX),
                Action::Notify(Notice::Membership(notice)) => self.noticed(notice),
                Action::Notify(Notice::Transaction(_) | Notice::Port(_)) => {}
            }
        }
    }

    fn noticed(&mut self, notice: MembershipNotice) {
        match &notice {
            MembershipNotice::Serving { .. } => self.give_up = None,
            MembershipNotice::Stopped {
                why: StopReason::NoMajority,
            } => self.give_up = Some(uptime_ns().saturating_add(self.patience)),
            // The others are told.
            MembershipNotice::Ended {
                why: EndReason::Left,
            } => {}
            MembershipNotice::Ended { why } => ended(*why),
            MembershipNotice::View(_) => self.has_link_change = true,
            MembershipNotice::Stopped { .. } | MembershipNotice::JoinRefused { .. } => {}
        }
        self.notices.push_back(notice);
    }
}

/// Spans of time by how long a node that says nothing is waited for, in ns.
fn times(silence: u64) -> Times {
    Times {
        heartbeat: Nanos(silence / 40),
        suspect: Nanos(silence),
        lease: Nanos(silence / 4 * 3),
        drift: Nanos(silence / 100),
        retry: Nanos(100_000_000),
        patience: Nanos(silence / 20),
        partial: Nanos(silence * 2),
        give_up: Nanos(FORMATION),
    }
}

fn address(config: &ClusterConfig, node: NodeId) -> Address {
    let ip = match config.addresses[usize::from(node.0)] {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    Address {
        ip: ip.octets(),
        port: super::links::PORT,
    }
}

/// Ends this node: it is in no cluster any more.
fn ended(why: EndReason) -> ! {
    match why {
        EndReason::Evicted => panic::lost(format_args!(
            "the other nodes have not heard of this one for too long and go on without it, so it ends"
        )),
        EndReason::NotTakenIn { why } => panic::refuse(format_args!(
            "the cluster has not taken this node in for 90 s ({why:?}); start its other nodes, with the same addresses \
             (cluster.address=IP) and the same program, and give each node a number that none had before"
        )),
        EndReason::NoMajority => no_majority(),
        EndReason::Left => unreachable!("that is no reason to end at once"),
    }
}

fn no_majority() -> ! {
    panic::lost(format_args!(
        "this node has not heard of a majority of the cluster for too long, so it ends; the others go on if they are one"
    ))
}
