//! The engine: runs each node's part of a program as time goes on.

use crate::cpu::Cpu;
use crate::net::{Counts, Happening, Net};
use crate::programs::Program;
use crate::shared::Page;
use darner_coherence::Access;
use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Whether what a program wants is so already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touch {
    /// It is.
    Ready,
    /// It waits, and is woken when it is.
    Waits,
}

/// A shared memory with locks and barriers.
pub trait Memory {
    /// What its nodes say to each other.
    type Message;

    /// Whether a node's program has a right to a page; if not, asks for it.
    fn touch(
        &mut self,
        net: &mut Net<Self::Message>,
        node: usize,
        page: u64,
        access: Access,
    ) -> Touch;

    /// The bytes of a page that the node has a right to.
    fn frame(&mut self, node: usize, page: u64) -> &mut Page;

    /// A message has come.
    fn receive(
        &mut self,
        net: &mut Net<Self::Message>,
        from: usize,
        to: usize,
        message: Self::Message,
    );

    /// A timer has gone off.
    fn timer(&mut self, net: &mut Net<Self::Message>, node: usize);

    /// Takes a lock.
    fn lock(&mut self, net: &mut Net<Self::Message>, node: usize, lock: usize) -> Touch;

    /// Gives a lock up.
    fn unlock(&mut self, net: &mut Net<Self::Message>, node: usize, lock: usize) -> Touch;

    /// Waits until all nodes are here.
    fn barrier(&mut self, net: &mut Net<Self::Message>, node: usize) -> Touch;
}

/// A memory, its network, and the clock.
pub(crate) struct World<M: Memory> {
    pub(crate) memory: M,
    pub(crate) net: Net<M::Message>,
}

type Part<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// What a program cost, and took, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// What was sent.
    pub counts: Counts,
    /// Until the last node was done.
    pub time: u64,
}

/// Runs a program on all nodes, and has it check its result through the same memory.
///
/// # Errors
///
/// What is wrong with the result, or who waits for ever.
pub fn run<M: Memory, P: Program>(memory: M, program: &P, nodes: usize) -> Result<Run, String> {
    let world = Rc::new(RefCell::new(World {
        memory,
        net: Net::new(),
    }));
    let cpus = (0..nodes).map(|node| Cpu::new(node, nodes, Rc::clone(&world)));
    let digests = finish(&world, cpus.map(|cpu| program.run(cpu)).collect())?;
    let run = {
        let world = world.borrow();
        Run {
            counts: world.net.counts(),
            time: world.net.now(),
        }
    };
    let checker = Cpu::new(0, nodes, Rc::clone(&world));
    let checked = finish(&world, vec![program.check(checker, digests)])?;
    checked
        .into_iter()
        .collect::<Result<Vec<()>, String>>()
        .map(|_| run)
}

/// Runs futures, each on its node, until all are done and nothing is under way.
fn finish<M: Memory, F: Future>(
    world: &RefCell<World<M>>,
    parts: Vec<F>,
) -> Result<Vec<F::Output>, String> {
    let mut parts: Vec<Part<'_, F::Output>> = parts
        .into_iter()
        .map(|part| Box::pin(part) as Part<'_, F::Output>)
        .collect();
    let mut outputs: Vec<Option<F::Output>> = parts.iter().map(|_| None).collect();
    for node in 0..parts.len() {
        world.borrow_mut().net.resume(node, 0);
    }
    loop {
        let Some(next) = world.borrow_mut().net.next() else {
            break;
        };
        match next {
            Happening::Resumes { node } => {
                let mut context = Context::from_waker(Waker::noop());
                if outputs[node].is_none()
                    && let Poll::Ready(output) = parts[node].as_mut().poll(&mut context)
                {
                    outputs[node] = Some(output);
                }
            }
            Happening::Arrives { from, to, message } => {
                let World { memory, net } = &mut *world.borrow_mut();
                memory.receive(net, from, to, message);
            }
            Happening::Timer { node } => {
                let World { memory, net } = &mut *world.borrow_mut();
                memory.timer(net, node);
            }
        }
    }
    let waits = outputs.iter().position(Option::is_none);
    match waits {
        Some(node) => Err(format!("node {node} waits for ever")),
        None => Ok(outputs.into_iter().flatten().collect()),
    }
}
