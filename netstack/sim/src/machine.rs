//! What a node has besides the protocol: frames, rights, a clock.

use crate::chance::{Chance, Stream};
use crate::plan::Plan;
use crate::time::{Clock, Moment};
use darner_coherence::locks::Locks;
use darner_coherence::parking::Parking;
use darner_coherence::{Epoch, Node, NodeId, PageIndex, Rights, View};

/// A page, as its node's page table and frames have it. A page of memory is one number.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Frame {
    /// Its bytes, if there is a frame.
    pub(crate) value: Option<u64>,
    pub(crate) rights: Rights,
    /// Whether it was written since it was mapped.
    pub(crate) dirty: bool,
}

/// Whether a node lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    Up,
    Down,
}

/// The protocols of a node.
#[derive(Clone, Debug)]
pub(crate) struct Protocols {
    pub(crate) node: Node,
    pub(crate) locks: Locks,
    pub(crate) parking: Parking,
}

impl Protocols {
    /// Those of a node that knows nothing, and takes itself to be in this view.
    pub(crate) fn new(plan: &Plan, me: NodeId, view: View) -> Self {
        let mut node = Node::new(darner_coherence::Config {
            me,
            nodes: plan.numbers,
            view: view.clone(),
            home: plan.home,
            agent: plan.agent,
        });
        node.set_adaptation(plan.adaptation);
        let locks = Locks::new(darner_coherence::locks::Config {
            me,
            nodes: plan.numbers,
            view: view.clone(),
            limits: plan.locks,
        });
        let parking = Parking::new(darner_coherence::parking::Config {
            me,
            view,
            limits: plan.parking,
        });
        Self {
            node,
            locks,
            parking,
        }
    }
}

/// A node.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) node: Node,
    pub(crate) locks: Locks,
    pub(crate) parking: Parking,
    pub(crate) life: Life,
    /// How often it was started: what is meant for an earlier one does not reach it.
    pub(crate) incarnation: u32,
    /// The view in which it became a member: what was sent in an earlier one is not for it, but
    /// for the one that died.
    pub(crate) joined: Epoch,
    /// It does nothing until then.
    pub(crate) stands_until: Moment,
    pub(crate) clock: Clock,
    pub(crate) chance: Chance,
    frames: Vec<Frame>,
}

impl Machine {
    pub(crate) fn new(plan: &Plan, protocols: Protocols) -> Self {
        let Protocols {
            node,
            locks,
            parking,
        } = protocols;
        Self {
            locks,
            parking,
            life: Life::Up,
            incarnation: 0,
            joined: Epoch(0),
            stands_until: Moment(0),
            clock: Clock::default(),
            chance: Chance::new(plan.seed, Stream::Node(node.id().0)),
            frames: vec![Frame::default(); plan.span() as usize],
            node,
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.life == Life::Up
    }

    pub(crate) fn frame(&self, page: PageIndex) -> Frame {
        self.frames[page.0 as usize]
    }

    pub(crate) fn frame_mut(&mut self, page: PageIndex) -> &mut Frame {
        &mut self.frames[page.0 as usize]
    }

    /// Nothing of it remains.
    pub(crate) fn die(&mut self) {
        self.life = Life::Down;
        self.incarnation += 1;
        self.frames.fill(Frame::default());
    }

    /// It is there again, with protocols that know nothing.
    pub(crate) fn start(&mut self, protocols: Protocols, joined: Epoch) {
        self.node = protocols.node;
        self.locks = protocols.locks;
        self.parking = protocols.parking;
        self.joined = joined;
        self.life = Life::Up;
        self.stands_until = Moment(0);
        self.clock = Clock::default();
    }
}
