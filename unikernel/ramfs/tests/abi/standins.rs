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

    /// As the kernel's spin lock, by the host's.
    pub struct Lock<T>(std::sync::Mutex<T>);

    impl<T> Lock<T> {
        pub const fn new(value: T) -> Self {
            Self(std::sync::Mutex::new(value))
        }

        pub fn lock(&self) -> std::sync::MutexGuard<'_, T> {
            self.0.lock().unwrap()
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

pub mod memory {
    /// The program's heap is the host's.
    pub mod program_heap {
        use std::alloc::Layout;

        pub fn allocate(layout: Layout) -> *mut u8 {
            // SAFETY: the kernel asks for no empty blocks.
            unsafe { std::alloc::alloc(layout) }
        }

        /// # Safety
        /// As of [`std::alloc::dealloc`].
        pub unsafe fn deallocate(block: *mut u8, layout: Layout) {
            // SAFETY: as the caller says.
            unsafe { std::alloc::dealloc(block, layout) }
        }
    }
}

/// The protocol thread is a thread of the host's that owns the real stack, which has its
/// loopback interface only.
pub mod net {
    use std::sync::OnceLock;
    use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
    use std::time::Duration;

    use darner_netstack::socket::Way;
    use darner_netstack::{Error, Reply, Request, Stack, Wait};

    use super::sched::WaitQueue;
    use super::time::monotonic_ns;
    use crate::abi::event::readiness_changed;

    pub struct WaitPoint(WaitQueue);

    impl Default for WaitPoint {
        fn default() -> Self {
            Self(WaitQueue::new())
        }
    }

    impl WaitPoint {
        pub fn wait_until<T>(
            &self,
            deadline: Option<u64>,
            condition: impl FnMut() -> Option<T>,
        ) -> Option<T> {
            self.0.wait_until(deadline, condition)
        }
    }

    impl Wait for WaitPoint {
        fn wake(&self) {
            self.0.wake_all();
            readiness_changed();
        }
    }

    pub fn while_polling<T>(work: impl FnOnce() -> T) -> T {
        work()
    }

    pub fn wait_configured() {}

    struct Asked {
        request: Request<WaitPoint>,
        answer: Option<Sender<Reply<WaitPoint>>>,
    }

    fn thread() -> &'static Sender<Asked> {
        static THREAD: OnceLock<Sender<Asked>> = OnceLock::new();
        THREAD.get_or_init(|| {
            let (sender, asked) = channel::<Asked>();
            std::thread::spawn(move || {
                let mut stack = Stack::new(1, 64 << 20, monotonic_ns());
                let mut deadline = None;
                loop {
                    let now = monotonic_ns();
                    let left = deadline.map_or(u64::MAX, |at: u64| at.saturating_sub(now));
                    match asked.recv_timeout(Duration::from_nanos(left.min(1_000_000_000))) {
                        Ok(Asked { request, answer }) => {
                            let reply = stack.request(request, monotonic_ns());
                            if let Some(answer) = answer {
                                answer.send(reply).unwrap();
                            }
                        }
                        Err(RecvTimeoutError::Timeout) => {}
                        Err(RecvTimeoutError::Disconnected) => return,
                    }
                    let step = stack.step(monotonic_ns());
                    deadline = if step.more { Some(0) } else { step.deadline };
                }
            });
            sender
        })
    }

    pub fn call(request: Request<WaitPoint>) -> Result<Reply<WaitPoint>, Error> {
        let (sender, answer) = channel();
        let asked = Asked {
            request,
            answer: Some(sender),
        };
        thread().send(asked).expect("the thread does not end");
        match answer.recv().expect("every request is answered") {
            Reply::Failed(error) => Err(error),
            reply => Ok(reply),
        }
    }

    pub fn tell(request: Request<WaitPoint>) {
        let asked = Asked {
            request,
            answer: None,
        };
        thread().send(asked).expect("the thread does not end");
    }

    /// This thread sleeps in its channel, which wakes it for everything.
    pub fn tell_with_others(request: Request<WaitPoint>, _: Way) {
        tell(request);
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
