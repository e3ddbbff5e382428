//! Where threads come up.

use std::thread::JoinHandle;

use crate::kernel;
use crate::node::Node;

/// Where the threads come up that a thread starts, by `std::thread` or whatever uses it.
///
/// Each thread has one of its own, which is [`Placement::Anywhere`] at first; those that it starts do not
/// inherit it.
///
/// ```
/// use darner::Placement;
///
/// // The threads of this scope share what they work on.
/// let near = Placement::Near.during(|| {
///     std::thread::scope(|scope| scope.spawn(darner::here).join().unwrap())
/// });
/// assert_eq!(near, darner::here());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Placement {
    /// On all CPUs of all nodes in turn.
    #[default]
    Anywhere,
    /// On the node of the thread that starts them: for those that share much.
    Near,
    /// On this node.
    On(Node),
}

const ANYWHERE: i32 = -1;
const NEAR: i32 = -2;

impl Placement {
    /// Makes it that of the calling thread, from now on; gives what it was.
    pub fn set(self) -> Self {
        let number = match self {
            Self::Anywhere => ANYWHERE,
            Self::Near => NEAR,
            Self::On(node) => node.raw().into(),
        };
        match kernel::place(number) {
            Some(NEAR) => Self::Near,
            Some(node @ 0..) => Self::On(Node::of(node as u16)),
            // Any `Node` is a place, so it is known what was before.
            _ => Self::Anywhere,
        }
    }

    /// Makes it that of the calling thread while `work` is done.
    pub fn during<T>(self, work: impl FnOnce() -> T) -> T {
        /// Puts it back, even if `work` panics.
        struct Restored(Placement);
        impl Drop for Restored {
            fn drop(&mut self) {
                self.0.set();
            }
        }
        let _restored = Restored(self.set());
        work()
    }
}

/// Starts a thread on a node; else as [`std::thread::spawn`], whose handle it is.
///
/// ```
/// let handles: Vec<_> = darner::nodes()
///     .map(|node| darner::spawn_on(node, || darner::here().number()))
///     .collect();
/// for (number, handle) in handles.into_iter().enumerate() {
///     assert_eq!(handle.join().unwrap(), number);
/// }
/// ```
///
/// # Panics
/// If the node cannot start one: it is gone, or has no memory for its stack. Use [`Placement::during`] with
/// [`std::thread::Builder`] to have that as an error.
pub fn spawn_on<F, T>(node: Node, work: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    Placement::On(node).during(|| std::thread::spawn(work))
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::{Placement, spawn_on};
    use crate::node::{here, nodes};

    #[test]
    fn it_is_the_threads_own_and_comes_back() {
        assert_eq!(Placement::Near.set(), Placement::Anywhere);
        let of_another = std::thread::spawn(|| Placement::Near.set()).join();
        assert_eq!(of_another.unwrap(), Placement::Anywhere);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            Placement::On(here()).during(|| panic!("on purpose"))
        }));
        assert!(panicked.is_err());
        assert_eq!(Placement::Anywhere.set(), Placement::Near);
    }

    #[test]
    fn a_thread_comes_up_on_its_node() {
        for node in nodes() {
            assert_eq!(spawn_on(node, here).join().unwrap(), node);
            assert!(node.cpus() > 0, "{node}");
        }
    }
}
