//! Whether replies and answers match.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::message::{Error, Late, Outcome};

/// Counts what receivers and senders saw. When its last clone is dropped, every
/// message must have had one answer, and every reply that was taken must have reached
/// its sender.
#[derive(Clone)]
pub struct Tally(Arc<Counts>);

struct Counts {
    messages: usize,
    accepted: AtomicUsize,
    replies: AtomicUsize,
    failures: AtomicUsize,
}

impl Tally {
    /// For so many messages.
    pub fn new(messages: usize) -> Self {
        Self(Arc::new(Counts {
            messages,
            accepted: AtomicUsize::new(0),
            replies: AtomicUsize::new(0),
            failures: AtomicUsize::new(0),
        }))
    }

    /// Notes what became of a receiver's reply.
    pub fn replied<Reply>(&self, result: Result<(), Late<Reply>>) {
        if result.is_ok() {
            self.0.accepted.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Notes a sender's answer, which may be `expected` instead of a reply.
    pub fn answered<Reply>(&self, outcome: Outcome<Reply>, expected: &[Error]) {
        match outcome {
            Ok(_) => self.0.replies.fetch_add(1, Ordering::Relaxed),
            Err(error) => {
                assert!(expected.contains(&error), "{error:?}");
                self.0.failures.fetch_add(1, Ordering::Relaxed)
            }
        };
    }
}

impl Drop for Counts {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let [accepted, replies, failures] =
            [&mut self.accepted, &mut self.replies, &mut self.failures].map(|n| *n.get_mut());
        assert_eq!(replies + failures, self.messages, "one answer for each");
        assert_eq!(accepted, replies, "a reply that was taken arrives");
    }
}
