//! Stand-ins for the kernel's locks, scheduler, clock and console.

pub mod sync {
    use std::sync::{RwLockReadGuard, RwLockWriteGuard};

    /// As the kernel's lock, by the host's.
    pub struct RwLock<T>(std::sync::RwLock<T>);

    impl<T> RwLock<T> {
        pub const fn new(value: T) -> Self {
            Self(std::sync::RwLock::new(value))
        }

        pub fn read(&self) -> RwLockReadGuard<'_, T> {
            self.0.read().unwrap()
        }

        pub fn write(&self) -> RwLockWriteGuard<'_, T> {
            self.0.write().unwrap()
        }
    }
}

pub mod sched {
    use std::sync::atomic::AtomicI32;
    use std::sync::{Arc, Condvar, Mutex};
    use std::time::Duration;

    use super::time::monotonic_ns;

    thread_local! {
        static CURRENT: Arc<Thread> = Arc::new(Thread { kept: Kept { errno: AtomicI32::new(0) } });
    }

    pub struct Thread {
        pub kept: Kept,
    }

    /// The kernel's part of a thread.
    pub struct Kept {
        pub errno: AtomicI32,
    }

    pub fn current() -> Arc<Thread> {
        CURRENT.with(Arc::clone)
    }

    /// As the kernel's, by a generation count and a condition variable.
    pub struct WaitQueue {
        generation: Mutex<u64>,
        changed: Condvar,
    }

    impl WaitQueue {
        pub const fn new() -> Self {
            Self {
                generation: Mutex::new(0),
                changed: Condvar::new(),
            }
        }

        pub fn wait_until<T>(
            &self,
            deadline: Option<u64>,
            mut condition: impl FnMut() -> Option<T>,
        ) -> Option<T> {
            loop {
                let seen = *self.generation.lock().unwrap();
                if let Some(value) = condition() {
                    return Some(value);
                }
                let left = match deadline {
                    Some(deadline) => deadline.saturating_sub(monotonic_ns()),
                    None => u64::MAX,
                };
                if left == 0 {
                    return None;
                }
                let guard = self.generation.lock().unwrap();
                let left = Duration::from_nanos(left.min(1_000_000_000));
                drop(
                    self.changed
                        .wait_timeout_while(guard, left, |now| *now == seen)
                        .unwrap(),
                );
            }
        }

        pub fn wake_all(&self) {
            *self.generation.lock().unwrap() += 1;
            self.changed.notify_all();
        }
    }
}

pub mod time {
    use std::sync::OnceLock;
    use std::time::{Instant, SystemTime};

    pub fn monotonic_ns() -> u64 {
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed().as_nanos() as u64
    }

    pub fn realtime_ns() -> u64 {
        SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap()
            .as_nanos() as u64
    }
}

pub mod console {
    use std::collections::VecDeque;
    use std::sync::Mutex;

    use super::sched::WaitQueue;
    use crate::abi::event::readiness_changed;

    pub static STDOUT: Mutex<Vec<u8>> = Mutex::new(Vec::new());
    pub static STDERR: Mutex<Vec<u8>> = Mutex::new(Vec::new());
    static STDIN: Mutex<VecDeque<u8>> = Mutex::new(VecDeque::new());
    static READERS: WaitQueue = WaitQueue::new();

    pub fn write_stdout(bytes: &[u8]) {
        STDOUT.lock().unwrap().extend(bytes);
    }

    pub fn write_stderr(bytes: &[u8]) {
        STDERR.lock().unwrap().extend(bytes);
    }

    pub fn stdin_ready() -> bool {
        !STDIN.lock().unwrap().is_empty()
    }

    pub fn read_stdin(buffer: &mut [u8], nonblocking: bool) -> Result<usize, i32> {
        let mut attempt = || {
            let mut input = STDIN.lock().unwrap();
            let count = input.len().min(buffer.len());
            buffer
                .iter_mut()
                .zip(input.drain(..count))
                .for_each(|(to, from)| *to = from);
            (count > 0).then_some(count)
        };
        if nonblocking {
            return attempt().ok_or(hermit_abi::EAGAIN);
        }
        Ok(READERS.wait_until(None, attempt).unwrap_or(0))
    }

    /// What the test types.
    pub fn type_in(bytes: &[u8]) {
        STDIN.lock().unwrap().extend(bytes);
        READERS.wake_all();
        readiness_changed();
    }
}

/// In place of the kernel's variables: the linker puts its bounds around them.
pub mod variables {
    /// Gives the section `kdata` something to hold.
    #[used]
    #[unsafe(link_section = "kdata")]
    static DATA: [u8; 64] = [1; 64];
    /// Gives the section `kbss` something to hold.
    #[used]
    #[unsafe(link_section = "kbss")]
    static BSS: [u8; 64] = [0; 64];

    /// Where both are.
    pub fn addresses() -> [*const u8; 2] {
        [DATA.as_ptr(), BSS.as_ptr()]
    }
}
