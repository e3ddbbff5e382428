//! What can be traced.

/// Something that happened on the calling CPU, as [`Machine::trace`] is told.
///
/// [`Machine::trace`]: crate::Machine::trace
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A message was queued for a CPU.
    MessageSent {
        /// That CPU.
        target: usize,
    },
    /// The message interrupt was raised on a CPU.
    Interrupted {
        /// That CPU.
        target: usize,
    },
    /// A message begins to run.
    MessageRun {
        /// The CPU whose envelope it came in.
        home: usize,
    },
    /// A message was put to a port.
    Put,
    /// A message of a port was answered.
    Reply,
}
