//! Where a thread has the threads come up that it starts.

use core::sync::atomic::{AtomicI32, Ordering};

use darner_coherence::NodeId;

/// On all CPUs of all nodes in turn.
const ANYWHERE: i32 = -1;
/// On the node of the thread that starts them.
const NEAR: i32 = -2;

/// What a thread wants of those that it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// They come up on all CPUs of all nodes in turn.
    Anywhere,
    /// On its own node.
    Near,
    /// On this node.
    On(NodeId),
}

impl Placement {
    /// From the number that programs give it; `None` for one that is none.
    pub fn of(number: i32) -> Option<Self> {
        match number {
            ANYWHERE => Some(Self::Anywhere),
            NEAR => Some(Self::Near),
            node => u16::try_from(node).ok().map(|node| Self::On(NodeId(node))),
        }
    }

    /// Its number.
    pub fn number(self) -> i32 {
        match self {
            Self::Anywhere => ANYWHERE,
            Self::Near => NEAR,
            Self::On(NodeId(node)) => node.into(),
        }
    }
}

/// What a thread wants, kept with it. Only the thread itself touches it.
pub struct Wanted(AtomicI32);

impl Default for Wanted {
    fn default() -> Self {
        Self(AtomicI32::new(ANYWHERE))
    }
}

impl Wanted {
    /// What it wants.
    pub fn get(&self) -> Placement {
        Placement::of(self.0.load(Ordering::Relaxed)).unwrap_or(Placement::Anywhere)
    }

    /// Wants something else from now on; what it was.
    pub fn replace(&self, placement: Placement) -> Placement {
        let before = self.get();
        self.0.store(placement.number(), Ordering::Relaxed);
        before
    }
}
