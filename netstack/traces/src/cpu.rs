//! A node's CPU, as its program uses it.

use crate::engine::{Memory, Touch, World};
use crate::shared::{Array, Word};
use darner_coherence::Access;
use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

/// A node's CPU: loads and stores of shared memory, locks, barriers, and time.
pub struct Cpu<M: Memory> {
    node: usize,
    nodes: usize,
    world: Rc<RefCell<World<M>>>,
}

impl<M: Memory> Cpu<M> {
    pub(crate) fn new(node: usize, nodes: usize, world: Rc<RefCell<World<M>>>) -> Self {
        Self { node, nodes, world }
    }

    /// The node.
    #[must_use]
    pub fn node(&self) -> usize {
        self.node
    }

    /// How many nodes there are.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.nodes
    }

    /// This node's part of `0..whole`: as many as the others have, or one more.
    #[must_use]
    pub fn share(&self, whole: usize) -> std::ops::Range<usize> {
        share(whole, self.node, self.nodes)
    }

    /// Computes for so many nanoseconds.
    pub async fn work(&self, nanoseconds: u64) {
        self.world
            .borrow_mut()
            .net
            .resume(self.node, nanoseconds.max(1));
        let mut waited = false;
        poll_fn(|_| match std::mem::replace(&mut waited, true) {
            false => Poll::Pending,
            true => Poll::Ready(()),
        })
        .await;
    }

    /// Loads `len` words.
    pub async fn read<T: Word>(&self, array: Array<T>, start: usize, len: usize) -> Vec<T> {
        let mut words = Vec::with_capacity(len);
        for (page, byte, count) in array.parts(start, len) {
            self.touch(page, Access::Read).await;
            let world = &mut *self.world.borrow_mut();
            let bytes = &world.memory.frame(self.node, page)[byte..][..count * T::BYTES];
            words.extend(bytes.chunks_exact(T::BYTES).map(T::load));
        }
        words
    }

    /// Stores words.
    pub async fn write<T: Word>(&self, array: Array<T>, start: usize, words: &[T]) {
        let mut rest = words;
        for (page, byte, count) in array.parts(start, words.len()) {
            let (now, later) = rest.split_at(count);
            rest = later;
            self.touch(page, Access::Write).await;
            let world = &mut *self.world.borrow_mut();
            let bytes = &mut world.memory.frame(self.node, page)[byte..][..count * T::BYTES];
            for (word, bytes) in now.iter().zip(bytes.chunks_exact_mut(T::BYTES)) {
                word.store(bytes);
            }
        }
    }

    /// Loads one word.
    pub async fn get<T: Word>(&self, array: Array<T>, at: usize) -> T {
        self.read(array, at, 1).await[0]
    }

    /// Stores one word.
    pub async fn set<T: Word>(&self, array: Array<T>, at: usize, word: T) {
        self.write(array, at, &[word]).await;
    }

    /// Loads words, changes them, and stores them, page by page.
    pub async fn update<T: Word>(
        &self,
        array: Array<T>,
        start: usize,
        len: usize,
        mut change: impl FnMut(usize, T) -> T,
    ) {
        let mut at = start;
        for (_, _, count) in array.parts(start, len) {
            let old = self.read(array, at, count).await;
            let new: Vec<T> = old
                .into_iter()
                .zip(at..)
                .map(|(word, at)| change(at, word))
                .collect();
            self.write(array, at, &new).await;
            at += count;
        }
    }

    /// Takes a lock.
    pub async fn lock(&self, lock: usize) {
        self.once(|world, node| world.memory.lock(&mut world.net, node, lock))
            .await;
    }

    /// Gives a lock up.
    pub async fn unlock(&self, lock: usize) {
        self.once(|world, node| world.memory.unlock(&mut world.net, node, lock))
            .await;
    }

    /// Waits until all nodes are here.
    pub async fn barrier(&self) {
        self.once(|world, node| world.memory.barrier(&mut world.net, node))
            .await;
    }

    /// An instruction: tried again after each fault, until its page is there.
    async fn touch(&self, page: u64, access: Access) {
        poll_fn(|_| {
            let world = &mut *self.world.borrow_mut();
            match world.memory.touch(&mut world.net, self.node, page, access) {
                Touch::Ready => Poll::Ready(()),
                Touch::Waits => Poll::Pending,
            }
        })
        .await;
    }

    /// A call that returns when the node is woken.
    async fn once(&self, call: impl FnOnce(&mut World<M>, usize) -> Touch) {
        let mut call = Some(call);
        poll_fn(|_| match call.take() {
            Some(call) => match call(&mut self.world.borrow_mut(), self.node) {
                Touch::Ready => Poll::Ready(()),
                Touch::Waits => Poll::Pending,
            },
            None => Poll::Ready(()),
        })
        .await;
    }
}

/// A node's part of `0..whole`.
pub(crate) fn share(whole: usize, node: usize, nodes: usize) -> std::ops::Range<usize> {
    whole * node / nodes..whole * (node + 1) / nodes
}

/// The node whose part `at` is.
pub(crate) fn sharer(whole: usize, at: usize, nodes: usize) -> usize {
    (0..nodes)
        .find(|&node| share(whole, node, nodes).contains(&at))
        .unwrap_or(0)
}
