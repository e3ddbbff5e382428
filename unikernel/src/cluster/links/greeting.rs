//! Connections of which it is not known yet who is at the other end.
//!
//! Anybody can connect to a node, so these are few: some for each node's address, and some for
//! all others together. The oldest gives way.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::IpAddr;

use darner_coherence::NodeId;
use darner_link::{Channel, Link, Peer, Refusal};
use darner_netstack::Stack;

use super::Progress;
use super::wire::Wire;
use crate::net::WaitPoint;

/// Connections that may come from the address of one node.
const MOST_OF_A_NODE: usize = 4;
/// Connections that may come from all other addresses.
const MOST_OF_STRANGERS: usize = 8;

/// Which node this one has called, and what for.
pub type Called = Option<(NodeId, Channel)>;

/// One of them.
pub struct Greeting {
    pub wire: Wire,
    pub link: Box<Link>,
    pub called: Called,
    /// When it began (monotonic ns).
    pub begun: u64,
}

/// How one has ended.
pub enum End {
    /// The other end is one of us.
    Met(Peer),
    /// One of the ends refuses the other.
    Refused(Refusal),
    /// The connection is over.
    Broken,
}

impl Greeting {
    fn step(&mut self, now: u64) -> Option<End> {
        let Self { wire, link, .. } = self;
        let end = match wire.read(now, |input| link.receive(input, now)) {
            Ok(Some(peer)) => Some(End::Met(peer)),
            Ok(None) if wire.is_over() => Some(End::Broken),
            Ok(None) => None,
            Err(refusal) => Some(End::Refused(refusal)),
        };
        self.write();
        end
    }

    fn write(&mut self) {
        let count = self.wire.write(self.link.output());
        self.link.sent(count);
    }
}

/// All of them, the oldest first.
#[derive(Default)]
pub struct Greetings(Vec<Greeting>);

impl Greetings {
    /// Adds one that this node has begun.
    pub fn call(&mut self, greeting: Greeting) {
        self.0.push(greeting);
    }

    /// Adds one that another has begun; `nodes` are the addresses of the cluster. Returns the one
    /// that has to give way.
    pub fn answer(&mut self, greeting: Greeting, nodes: &[IpAddr]) -> Option<Greeting> {
        let from = greeting.wire.remote();
        let is_node = nodes.contains(&from);
        let most = match is_node {
            true => MOST_OF_A_NODE,
            false => MOST_OF_STRANGERS,
        };
        let is_alike = |other: &Greeting| {
            let remote = other.wire.remote();
            let is_of_same = match is_node {
                true => remote == from,
                false => !nodes.contains(&remote),
            };
            other.called.is_none() && is_of_same
        };
        let count = self.0.iter().filter(|other| is_alike(other)).count();
        let oldest = self.0.iter().position(is_alike);
        let leaves = oldest.filter(|_| count >= most);
        let leaves = leaves.map(|index| self.0.remove(index));
        self.0.push(greeting);
        leaves
    }

    /// Whether that node is being called.
    pub fn is_calling(&self, called: (NodeId, Channel)) -> bool {
        self.0
            .iter()
            .any(|greeting| greeting.called == Some(called))
    }

    /// The next one that has ended.
    pub fn next_end(&mut self, now: u64) -> Option<(Greeting, End)> {
        let ends = self.0.iter_mut().enumerate();
        let (index, end) = ends
            .filter_map(|(index, greeting)| Some((index, greeting.step(now)?)))
            .next()?;
        Some((self.0.remove(index), end))
    }

    /// Calls that began before `time` and are not answered.
    pub fn take_unanswered(&mut self, time: u64) -> Option<Greeting> {
        let index = self
            .0
            .iter()
            .position(|greeting| greeting.called.is_some() && greeting.begun < time)?;
        Some(self.0.remove(index))
    }

    /// When one of them has taken too long (monotonic ns).
    pub fn deadline(&self) -> Option<u64> {
        self.0
            .iter()
            .filter_map(|greeting| greeting.link.deadline())
            .min()
    }

    /// Has the stack look at what has changed.
    pub fn show(&mut self, stack: &mut Stack<WaitPoint>, now: u64) -> Progress {
        self.0.iter_mut().fold(Progress::Nothing, |all, greeting| {
            all.and(greeting.wire.show(stack, now))
        })
    }
}
