//! Names of messages.

use core::sync::atomic::{AtomicU64, Ordering};

/// A message's name. No other message ever has the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId {
    /// Who awaits the answer; see [`new_origin`].
    pub(super) origin: u64,
    /// Counts the messages of the origin.
    pub(super) sequence: u64,
    /// Where a mailbox keeps the answer.
    pub(super) slot: u32,
}

impl MessageId {
    /// Stands for all messages whose sender awaits no answer.
    pub const UNANSWERED: Self = Self {
        origin: 0,
        sequence: 0,
        slot: 0,
    };
}

/// A number for what awaits answers, from 1.
pub(super) fn new_origin() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}
