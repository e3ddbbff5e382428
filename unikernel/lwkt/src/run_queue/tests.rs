//! The run queue against one `VecDeque` for each priority.

use std::collections::VecDeque;
use std::sync::Arc;

use proptest::prelude::*;

use super::{Priority, Queued, RunQueue};
use crate::list::Links;

struct Thread {
    number: usize,
    links: Links<Thread>,
}

// SAFETY: returns a field, always the same.
unsafe impl Queued for Thread {
    fn queue_links(&self) -> &Links<Self> {
        &self.links
    }
}

/// As many as there are: most tests push some twice over.
const THREADS: usize = 12;

#[allow(clippy::arc_with_non_send_sync, reason = "queues own an Arc")]
fn threads() -> Vec<Arc<Thread>> {
    (0..THREADS)
        .map(|number| {
            let links = Links::new();
            Arc::new(Thread { number, links })
        })
        .collect()
}

#[derive(Clone, Debug)]
enum Step {
    Push(usize, u8),
    PushFront(usize, u8),
    Pop,
    PopAtMost(u8),
    Steal,
    Remove(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // Few priorities, the extreme ones among them, so that threads meet; interrupt
    // threads, too.
    let priority = || prop_oneof![Just(0), Just(31), Just(32), Just(63), 0..64u8, 6..9u8];
    let step = prop_oneof![
        4 => (0..THREADS, priority()).prop_map(|(thread, at)| Step::Push(thread, at)),
        2 => (0..THREADS, priority()).prop_map(|(thread, at)| Step::PushFront(thread, at)),
        2 => Just(Step::Pop),
        1 => priority().prop_map(Step::PopAtMost),
        1 => Just(Step::Steal),
        2 => (0..THREADS).prop_map(Step::Remove),
    ];
    prop::collection::vec(step, 0..200)
}

/// What the run queue is to be.
struct Model([VecDeque<usize>; Priority::LEVELS]);

impl Default for Model {
    fn default() -> Self {
        Self([const { VecDeque::new() }; Priority::LEVELS])
    }
}

impl Model {
    fn priority_of(&self, thread: usize) -> Option<u8> {
        let at = self.0.iter().position(|queue| queue.contains(&thread))?;
        Some(at as u8)
    }

    fn best(&self, limit: u8) -> Option<u8> {
        (0..=limit).rfind(|&at| !self.0[usize::from(at)].is_empty())
    }

    fn pop(&mut self, limit: u8) -> Option<usize> {
        self.0[usize::from(self.best(limit)?)].pop_front()
    }

    fn steal(&mut self) -> Option<usize> {
        // Only programs' threads.
        self.0[..32]
            .iter_mut()
            .find(|queue| !queue.is_empty())?
            .pop_back()
    }

    fn remove(&mut self, thread: usize) -> Option<usize> {
        let queue = &mut self.0[usize::from(self.priority_of(thread)?)];
        queue.retain(|&other| other != thread);
        Some(thread)
    }
}

proptest! {
    #[test]
    fn as_the_model(steps in steps()) {
        let threads = threads();
        let queue = RunQueue::<Thread>::new();
        let mut model = Model::default();
        for step in steps {
            let (out, expected) = match step {
                // What is ready already is refused, which another test shows.
                Step::Push(thread, _) | Step::PushFront(thread, _)
                    if model.priority_of(thread).is_some() => continue,
                Step::Push(thread, at) => {
                    queue.push(threads[thread].clone(), Priority::again(at));
                    model.0[usize::from(at)].push_back(thread);
                    (None, None)
                }
                Step::PushFront(thread, at) => {
                    queue.push_front(threads[thread].clone(), Priority::again(at));
                    model.0[usize::from(at)].push_front(thread);
                    (None, None)
                }
                Step::Pop => (queue.pop(), model.pop(63)),
                Step::PopAtMost(limit) =>
                    (queue.pop_at_most(Priority::again(limit)), model.pop(limit)),
                Step::Steal => (queue.steal(), model.steal()),
                Step::Remove(thread) => (queue.remove(&threads[thread]), model.remove(thread)),
            };
            prop_assert_eq!(out.map(|thread| thread.number), expected);
            prop_assert_eq!(queue.best().map(Priority::number), model.best(63));
            let len = model.0.iter().map(VecDeque::len).sum::<usize>();
            prop_assert_eq!(queue.len(), len);
            prop_assert_eq!(queue.is_empty(), len == 0);
            for thread in &threads {
                let priority = model.priority_of(thread.number);
                prop_assert_eq!(queue.priority_of(thread).map(Priority::number), priority);
                let owners = if priority.is_some() { 2 } else { 1 };
                prop_assert_eq!(Arc::strong_count(thread), owners);
            }
        }
        drop(queue);
        for thread in &threads {
            prop_assert_eq!(Arc::strong_count(thread), 1);
            prop_assert!(!thread.links.is_linked());
        }
    }
}

#[test]
fn another_queues_thread_stays_there() {
    let threads = threads();
    let (one, other) = (RunQueue::<Thread>::new(), RunQueue::<Thread>::new());
    one.push(threads[0].clone(), Priority::new(6));
    assert!(other.remove(&threads[0]).is_none());
    assert_eq!(other.priority_of(&threads[0]), None);
    assert_eq!(one.len(), 1);
    assert!(one.remove(&threads[0]).is_some());
}

#[test]
#[should_panic(expected = "in a list was put into a list")]
fn ready_once() {
    let threads = threads();
    let queue = RunQueue::<Thread>::new();
    queue.push(threads[0].clone(), Priority::LOWEST);
    queue.push(threads[0].clone(), Priority::HIGHEST);
}

#[test]
#[should_panic(expected = "priorities are from 0 to 31")]
fn no_priority_32() {
    Priority::new(32);
}

#[test]
#[should_panic(expected = "levels of interrupt threads are from 0 to 30")]
fn no_interrupt_level_31() {
    Priority::interrupt(31);
}

#[test]
fn interrupt_threads_come_before_all_others() {
    assert!(Priority::HIGHEST < Priority::INTERRUPTED);
    assert!(Priority::INTERRUPTED < Priority::interrupt(0));
    assert!(Priority::interrupt(0) < Priority::interrupt(30));
    assert!(!Priority::HIGHEST.is_interrupt() && !Priority::INTERRUPTED.is_interrupt());
    assert!(Priority::interrupt(0).is_interrupt());
}

#[test]
fn queues_go_to_other_cpus_with_what_is_in_them() {
    /// Shared by threads of the host; its links are touched by one at a time.
    struct Shared(Links<Shared>);
    // SAFETY: only the queue touches the links, and one thread has the queue.
    unsafe impl Sync for Shared {}
    // SAFETY: returns a field, always the same.
    unsafe impl Queued for Shared {
        fn queue_links(&self) -> &Links<Self> {
            &self.0
        }
    }
    let element = Arc::new(Shared(Links::new()));
    let queue = RunQueue::<Shared>::new();
    queue.push(element.clone(), Priority::LOWEST);
    std::thread::spawn(move || assert!(queue.pop().is_some()))
        .join()
        .unwrap();
    assert_eq!(Arc::strong_count(&element), 1);
}
