//! How the consumer of a ring tells its producer of room.
//!
//! A producer that has not run out of room need not be told of more. One that has says so,
//! looks once more, and is told when there is much room again rather than a little.

use crate::sync::atomic::{AtomicBool, Ordering, fence};

/// Beside a ring.
pub(super) struct RoomBell {
    is_wanted: AtomicBool,
}

impl Default for RoomBell {
    fn default() -> Self {
        Self {
            is_wanted: AtomicBool::new(false),
        }
    }
}

impl RoomBell {
    /// The producer has found no room. `is_roomy` looks whether there is much. False: there is,
    /// and the consumer will not tell.
    pub fn want(&self, is_roomy: impl FnOnce() -> bool) -> bool {
        self.is_wanted.swap(true, Ordering::Relaxed);
        // Either this side sees the room or the other one sees that it is wanted.
        fence(Ordering::SeqCst);
        let waits = !is_roomy();
        if !waits {
            self.is_wanted.swap(false, Ordering::Relaxed);
        }
        waits
    }

    /// The producer has had room enough.
    pub fn unwant(&self) {
        if self.is_wanted.load(Ordering::Relaxed) {
            self.is_wanted.swap(false, Ordering::Relaxed);
        }
    }

    /// Whether the consumer, which has just made room, has to tell. `is_roomy` looks whether
    /// there is much.
    pub fn is_due(&self, is_roomy: impl FnOnce() -> bool) -> bool {
        fence(Ordering::SeqCst);
        self.is_wanted.load(Ordering::Relaxed)
            && is_roomy()
            && self.is_wanted.swap(false, Ordering::Relaxed)
    }
}

#[cfg(all(test, loom))]
mod models {
    use loom::sync::Arc;
    use loom::sync::atomic::AtomicUsize;
    use loom::thread;

    use super::*;

    /// A ring with room for two, of which only the number of its elements matters.
    #[derive(Default)]
    struct Ring {
        held: AtomicUsize,
        bell: RoomBell,
        rung: AtomicBool,
    }

    impl Ring {
        fn is_roomy(&self) -> bool {
            self.held.load(Ordering::Acquire) <= 1
        }

        /// Puts as many as there is room for, and wants more.
        fn produce(&self, left: &mut usize) {
            loop {
                while *left > 0 && self.held.load(Ordering::Acquire) < 2 {
                    self.held.fetch_add(1, Ordering::Release);
                    *left -= 1;
                }
                if *left == 0 {
                    return self.bell.unwant();
                }
                if self.bell.want(|| self.is_roomy()) {
                    return;
                }
            }
        }

        fn consume(&self) {
            if self.held.load(Ordering::Acquire) > 0 {
                self.held.fetch_sub(1, Ordering::Release);
                if self.bell.is_due(|| self.is_roomy()) {
                    self.rung.store(true, Ordering::Release);
                }
            }
        }
    }

    #[test]
    fn a_producer_without_room_is_told_or_has_seen_the_room() {
        loom::model(|| {
            let ring = Arc::new(Ring::default());
            let mut left = 4;
            ring.held.store(1, Ordering::Relaxed);
            let consumer = {
                let ring = ring.clone();
                thread::spawn(move || {
                    ring.consume();
                    ring.consume();
                })
            };
            ring.produce(&mut left);
            consumer.join().unwrap();
            let waits_for_nothing = left > 0 && ring.is_roomy();
            assert!(!waits_for_nothing || ring.rung.load(Ordering::Acquire));
        });
    }
}
