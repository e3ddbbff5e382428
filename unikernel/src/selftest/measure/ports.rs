//! What it costs to put a message to a port and to get it, on one CPU.

use core::hint::black_box;

use darner_lwkt::MayBlock;
use darner_lwkt::message::{Mailbox, Terms};
use darner_lwkt::port::{Bounds, Port, Put, QueuePort, Received, Receiver, thread_port};

use super::super::{Failure, Found};
use super::ticks;
use crate::sched::Kernel;

/// Messages that a port or a mailbox has room for.
const ROOM: usize = 16;

/// An agent: it answers what is even, and has the rest queued.
#[inline(never)]
fn agent(request: u64) -> Put<u64, u64> {
    match request % 2 {
        0 => Put::Done(request + 1),
        _ => Put::Queue(request),
    }
}

/// Ticks that `calls` calls of a port whose agent answers at once take more than
/// calling the agent.
pub fn domsg_fast(calls: u64) -> Found {
    let (port, _receiver) = thread_port::<Kernel, u64, u64>(Bounds::new(ROOM));
    let port = port.with_agent(agent);
    let mailbox = Mailbox::new(ROOM);
    // SAFETY: this is a thread, and uses this in no section.
    let leave = unsafe { MayBlock::assume() };
    let direct = ticks(calls, |number| match agent(number * 2) {
        Put::Done(reply) => drop(black_box(reply)),
        Put::Queue(request) => drop(black_box(request)),
    });
    let by_port = ticks(calls, |number| {
        match mailbox.call(&leave, black_box(&port), number * 2) {
            Ok(reply) => drop(black_box(reply)),
            Err(error) => drop(black_box(error)),
        }
    });
    Ok(by_port.saturating_sub(direct))
}

/// Ticks of `messages` messages that want no answer, each put to a queue and got from
/// there.
pub fn port_queued(messages: u64) -> Found {
    let (port, mut receiver) = thread_port::<Kernel, u64, u64>(Bounds::new(ROOM));
    let mut got = 0;
    let ticks = ticks(messages, |number| {
        let _ = port.tell(number, Terms::NONE);
        if let Ok(Some(Received::Message(_))) = receiver.get() {
            got += 1;
        }
    });
    all(messages, got).map(|()| ticks)
}

/// Ticks of `messages` messages that are put to a queue, got from there, answered, and
/// whose answer is got.
pub fn port_answered(messages: u64) -> Found {
    let (port, mut receiver) = thread_port::<Kernel, u64, u64>(Bounds::new(ROOM));
    let mailbox = Mailbox::new(ROOM);
    let mut got = 0;
    let ticks = ticks(messages, |number| {
        let answered = answer_one(&port, &mut receiver, &mailbox, number);
        got += u64::from(answered == Some(number + 1));
    });
    all(messages, got).map(|()| ticks)
}

fn answer_one(
    port: &QueuePort<Kernel, u64, u64>,
    receiver: &mut Receiver<Kernel, u64, u64>,
    mailbox: &Mailbox<Kernel, u64>,
    request: u64,
) -> Option<u64> {
    mailbox.send(port, request, Terms::NONE).ok()?;
    let Ok(Some(Received::Message(message))) = receiver.get() else {
        return None;
    };
    let reply = message.request() + 1;
    message.reply(reply).ok()?;
    mailbox.get()?.outcome.ok()
}

fn all(messages: u64, got: u64) -> Result<(), Failure> {
    match got == messages {
        true => Ok(()),
        false => Err(alloc::format!("{got} of {messages} messages came through")),
    }
}
