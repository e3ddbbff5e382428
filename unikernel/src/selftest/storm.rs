//! Every CPU sends to every CPU, from threads and from handlers, active and passive:
//! none is lost, and the order of each pair of CPUs is kept.

use alloc::boxed::Box;
use alloc::format;
use core::sync::atomic::{AtomicU64, Ordering};

use darner_lwkt::{Critical, Delivery, Machine};

use super::gang::{Member, on_every_cpu};
use super::{Failure, Found, PATIENCE};
use crate::sched::{self, Kernel};
use crate::time::monotonic_ns;

/// How often a message of a chain is sent on.
const HOPS: u8 = 3;

/// Where a message's number comes from. Numbers of a stream are drawn in the order in
/// which messages are sent.
#[derive(Clone, Copy)]
enum Stream {
    /// The thread of the sending CPU, outside of sections.
    Thread = 0,
    /// Sections of the sending CPU: handlers, and its thread.
    Section = 1,
}

const STREAMS: usize = 2;

/// What a CPU knows, and changes alone.
#[repr(align(128))]
struct Tally {
    sent: AtomicU64,
    run: AtomicU64,
    misordered: AtomicU64,
    /// The next number to each CPU, of each stream.
    next: Box<[[AtomicU64; STREAMS]]>,
    /// The number that comes next from each CPU, of each stream.
    expected: Box<[[AtomicU64; STREAMS]]>,
}

struct Storm {
    tallies: Box<[Tally]>,
}

/// What a message carries.
#[derive(Clone, Copy)]
struct Letter {
    storm: &'static Storm,
    number: u64,
    sender: u8,
    stream: Stream,
    /// How often it is still to be sent on.
    hops: u8,
    /// Its handler tries to send another one.
    bears: bool,
}

/// More by one; how it was before. By the CPU that it belongs to: no atomic operation
/// is needed, but none does harm either.
fn count(counter: &AtomicU64) -> u64 {
    counter.fetch_add(1, Ordering::Relaxed)
}

impl Storm {
    fn new(cpus: usize) -> Self {
        let numbers = || {
            (0..cpus)
                .map(|_| [const { AtomicU64::new(0) }; STREAMS])
                .collect()
        };
        let tally = |_| Tally {
            sent: AtomicU64::new(0),
            run: AtomicU64::new(0),
            misordered: AtomicU64::new(0),
            next: numbers(),
            expected: numbers(),
        };
        Self {
            tallies: (0..cpus).map(tally).collect(),
        }
    }

    fn sum(&self, of: impl Fn(&Tally) -> &AtomicU64) -> u64 {
        let values = self.tallies.iter();
        values.map(|tally| of(tally).load(Ordering::Acquire)).sum()
    }

    /// The letter that CPU `sender` sends to `target` next.
    fn letter(&'static self, sender: usize, target: usize, stream: Stream) -> Letter {
        let tally = &self.tallies[sender];
        count(&tally.sent);
        Letter {
            storm: self,
            number: count(&tally.next[target][stream as usize]),
            sender: sender as u8,
            stream,
            hops: 0,
            bears: false,
        }
    }

    /// Takes back a letter that was not sent, in the section that it was made in.
    fn take_back(&self, target: usize, letter: &Letter) {
        let tally = &self.tallies[usize::from(letter.sender)];
        tally.sent.fetch_sub(1, Ordering::Relaxed);
        tally.next[target][letter.stream as usize].fetch_sub(1, Ordering::Relaxed);
    }

    /// Tries to send from a section. Whether there was an envelope.
    fn try_send(&'static self, section: &Critical<Kernel>, target: usize, bears: bool) -> bool {
        let letter = Letter {
            bears,
            ..self.letter(section.cpu(), target, Stream::Section)
        };
        let sent =
            sched::messages().try_send(section, target, move |delivery| letter.run(delivery));
        if sent.is_err() {
            self.take_back(target, &letter);
        }
        sent.is_ok()
    }
}

impl Letter {
    fn run(self, delivery: Delivery<'_, Kernel>) {
        let (storm, section) = (self.storm, delivery.section());
        let here = section.cpu();
        let tally = &storm.tallies[here];
        let expected = &tally.expected[usize::from(self.sender)][self.stream as usize];
        if count(expected) != self.number {
            count(&tally.misordered);
        }
        let cpus = storm.tallies.len();
        if self.bears {
            storm.try_send(section, (here + self.number as usize) % cpus, false);
        }
        if self.hops > 0 {
            let target = (here + 1) % cpus;
            let letter = Letter {
                hops: self.hops - 1,
                ..storm.letter(here, target, Stream::Section)
            };
            delivery.forward(target, move |delivery| letter.run(delivery));
        }
        // Last: what it has sent is counted as sent before it is counted as run.
        tally.run.fetch_add(1, Ordering::Release);
    }
}

/// Sends about `messages` messages in all.
pub fn run(messages: u64) -> Found {
    // For ever: a message that is lost now may run later.
    let storm: &'static Storm = Box::leak(Box::new(Storm::new(Kernel::cpus())));
    on_every_cpu(&|member| {
        let share = messages / member.members() as u64;
        blow(storm, member, share)?;
        member.barrier()?;
        calm(storm)
    })?;
    let interrupts: u64 = (0..Kernel::cpus()).map(sched::raised).sum();
    log::debug!("{interrupts} message interrupts were raised since boot");
    let misordered = storm.sum(|tally| &tally.misordered);
    if misordered > 0 {
        return Err(format!("{misordered} messages came out of order"));
    }
    Ok(storm.sum(|tally| &tally.run))
}

/// One CPU's part of the storm: `share` messages, with those that handlers send on.
fn blow(storm: &'static Storm, member: &Member<'_>, share: u64) -> Result<(), Failure> {
    let (here, cpus) = (member.cpu, member.members());
    let queues = sched::messages();
    let mut sent = 0;
    let mut random = 0x9e37_79b9_7f4a_7c15u64.wrapping_mul(here as u64 + 1);
    while sent < share {
        // Marsaglia, "Xorshift RNGs" (2003).
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let target = (random >> 32) as usize % cpus;
        let letter = |hops| Letter {
            hops,
            ..storm.letter(here, target, Stream::Thread)
        };
        sent += 1;
        match random % 64 {
            0..4 => {
                let letter = letter(0);
                queues.send(&member.leave, target, move |delivery| letter.run(delivery));
            }
            4..48 => {
                let letter = letter(0);
                queues.send_passive(&member.leave, target, move |delivery| letter.run(delivery));
            }
            48..60 => {
                let bears = random % 64 >= 56;
                if !storm.try_send(&Critical::enter(), target, bears) {
                    sent -= 1;
                    queues.poll();
                }
            }
            _ => {
                let letter = letter(HOPS);
                queues.send(&member.leave, target, move |delivery| letter.run(delivery));
                sent += u64::from(HOPS);
            }
        }
        let thread_stream = |numbers: &[[AtomicU64; STREAMS]], cpu: usize| {
            numbers[cpu][Stream::Thread as usize].load(Ordering::Relaxed)
        };
        let tally = &storm.tallies[here];
        if target == here
            && thread_stream(&tally.next, here) != thread_stream(&tally.expected, here)
        {
            return Err("a message to the CPU itself had not run when `send` returned".into());
        }
    }
    Ok(())
}

/// Waits until all messages have run; they come by interrupts and ticks alone.
fn calm(storm: &Storm) -> Result<(), Failure> {
    let begin = monotonic_ns();
    loop {
        // In this order: a message that runs meanwhile is counted in neither, or as
        // sent only.
        let run = storm.sum(|tally| &tally.run);
        let sent = storm.sum(|tally| &tally.sent);
        if run == sent {
            return Ok(());
        }
        if monotonic_ns() - begin > PATIENCE {
            return Err(format!("{sent} messages were sent, {run} have run"));
        }
        core::hint::spin_loop();
    }
}
