//! The machines of a cluster, as far as they are ended, or told to end, from outside.

use std::io::{PipeReader, PipeWriter, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Instant;

use darner_switch::Server;

use super::kill::{Deed, Kill};
use crate::vm::{Input, Stop};

/// What decides when machines are killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// From now on times of faults count, unless they do already.
    Begin,
    /// All have ended.
    Over,
}

/// What ends one machine.
#[derive(Default)]
struct Machine {
    stop: Stop,
    is_killed: AtomicBool,
    /// What it is told goes in here.
    orders: Mutex<Option<PipeWriter>>,
}

/// See the module.
pub struct Machines(Vec<Machine>);

impl Machines {
    /// So many.
    pub fn new(count: u16) -> Self {
        Self((0..count).map(|_| Machine::default()).collect())
    }

    /// What ends this one.
    pub fn stop_of(&self, node: u16) -> &Stop {
        &self.of(node).stop
    }

    /// Whether it was killed by order.
    pub fn is_killed(&self, node: u16) -> bool {
        self.of(node).is_killed.load(Ordering::Relaxed)
    }

    /// Ends all that still run.
    pub fn stop_all(&self) {
        for machine in &self.0 {
            machine.stop.ask();
        }
    }

    /// What a machine hears on its console, where the program's input is another's: orders, until all is over.
    ///
    /// # Errors
    /// When there can be no pipe.
    pub fn orders_of(&self, node: u16) -> std::io::Result<Input> {
        let (reader, writer): (PipeReader, PipeWriter) = std::io::pipe()?;
        *self.lock(node) = Some(writer);
        Ok(Input::From(Box::new(reader)))
    }

    fn lock(&self, node: u16) -> std::sync::MutexGuard<'_, Option<PipeWriter>> {
        let orders = self.of(node).orders.lock();
        orders.unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn drain(&self, node: u16) {
        if let Some(orders) = &mut *self.lock(node) {
            // One that has ended obeys no more.
            let _ = orders.write_all(b"drain\n");
        }
    }

    fn kill(&self, node: u16) {
        let machine = self.of(node);
        // One that is being ended anyhow was not killed.
        if !machine.stop.is_asked() {
            machine.is_killed.store(true, Ordering::Relaxed);
            machine.stop.ask();
        }
    }

    fn of(&self, node: u16) -> &Machine {
        &self.0[usize::from(node)]
    }

    /// Kills or drains these, the first one first, each when it is time. Returns when all is over.
    pub fn kill_in_time(&self, kills: &[Kill], signals: &Receiver<Signal>, switch: &Server) {
        let mut kills = kills.iter().peekable();
        let mut begun: Option<Instant> = None;
        loop {
            let due = begun.zip(kills.peek()).map(|(begun, kill)| begun + kill.at);
            let signal = match due {
                Some(due) => signals.recv_timeout(due.saturating_duration_since(Instant::now())),
                None => signals.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match signal {
                Ok(Signal::Begin) => {
                    begun.get_or_insert_with(Instant::now);
                    switch.begin();
                }
                Err(RecvTimeoutError::Timeout) => {
                    if let Some(kill) = kills.next() {
                        match kill.deed {
                            Deed::Kill => self.kill(kill.node),
                            Deed::Drain => self.drain(kill.node),
                        }
                    }
                }
                Ok(Signal::Over) | Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        if begun.is_none() {
            eprintln!("xtask: --after: no line contained that text, so nothing was done then");
        }
    }
}
