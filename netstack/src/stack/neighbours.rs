//! Who waits for which neighbour's hardware address.
//!
//! smoltcp keeps the addresses, and forgets them after a minute; it asks for one address a
//! second, on behalf of whoever sends. So that sockets do not wait for each other, and so that
//! they hear when nobody answers, the stack asks itself, for every neighbour on its own, and
//! sends to those only that have answered. What it knows it sees going past; where it is wrong,
//! smoltcp asks, which is seen too.

use alloc::vec::Vec;
use core::net::IpAddr;

use super::random::{Map, Set};
use crate::Nanos;
use crate::socket::SocketId;

const SECOND: Nanos = 1_000_000_000;
/// How long to wait for an answer before asking again.
const INTERVAL: Nanos = SECOND;
/// How long to ask.
const PATIENCE: Nanos = 3 * SECOND;
/// How long one who has not answered is taken not to be there.
const SILENCE: Nanos = SECOND;
/// Neighbours that are remembered at most.
const KNOWN: usize = 1024;

/// Who waits for a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waiter {
    Socket(SocketId),
    Lookup(u64),
}

/// One interface's neighbours.
#[derive(Default)]
pub(super) struct Neighbours {
    known: Set<IpAddr>,
    asking: Map<IpAddr, Asking>,
    /// Those that have not answered, and until when that counts.
    silent: Map<IpAddr, Nanos>,
    /// The deadline that the timers have.
    pub timer: Option<Nanos>,
}

struct Asking {
    since: Nanos,
    /// When to ask again.
    next: Nanos,
    waiting: Vec<Waiter>,
}

/// What there is to do.
#[derive(Default)]
pub(super) struct Due {
    /// These have to be asked.
    pub ask: Vec<IpAddr>,
    /// These wait for a neighbour who has not answered.
    pub failed: Vec<(Waiter, IpAddr)>,
}

impl Neighbours {
    /// Whether packets can be sent there. If not, `waiter` is told when they can, or when that
    /// has taken too long.
    pub fn is_ready(&mut self, ip: IpAddr, waiter: Waiter, now: Nanos) -> bool {
        if self.known.contains(&ip) {
            return true;
        }
        let asking = self.asking.entry(ip).or_insert_with(|| Asking {
            since: now,
            next: now,
            waiting: Vec::new(),
        });
        if !asking.waiting.contains(&waiter) {
            asking.waiting.push(waiter);
        }
        false
    }

    /// Whether it has just not answered.
    pub fn is_silent(&self, ip: IpAddr, now: Nanos) -> bool {
        self.silent.get(&ip).is_some_and(|until| now < *until)
    }

    /// It has answered. Who waited for that?
    pub fn learn(&mut self, ip: IpAddr) -> Vec<Waiter> {
        if self.known.len() >= KNOWN {
            self.known.clear();
        }
        self.known.insert(ip);
        self.silent.remove(&ip);
        self.asking
            .remove(&ip)
            .map_or_else(Vec::new, |asking| asking.waiting)
    }

    /// smoltcp has just asked: it does not know the address.
    pub fn lost(&mut self, ip: IpAddr, now: Nanos) {
        self.known.remove(&ip);
        if let Some(asking) = self.asking.get_mut(&ip) {
            asking.next = now + INTERVAL;
        }
    }

    /// All have to be asked again: the interface's addresses have changed.
    pub fn forget(&mut self) {
        self.known.clear();
    }

    /// When there is something to do.
    pub fn deadline(&self) -> Option<Nanos> {
        self.asking.values().map(|asking| asking.next).min()
    }

    /// What there is to do now.
    pub fn due(&mut self, now: Nanos) -> Due {
        let mut due = Due::default();
        self.silent.retain(|_, until| now < *until);
        let silent = &mut self.silent;
        self.asking.retain(|ip, asking| {
            if asking.next > now {
                return true;
            }
            if now >= asking.since + PATIENCE {
                let failed = asking.waiting.drain(..);
                due.failed.extend(failed.map(|waiter| (waiter, *ip)));
                silent.insert(*ip, now + SILENCE);
                return false;
            }
            asking.next = now + INTERVAL;
            due.ask.push(*ip);
            true
        });
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_asks_three_times_then_tells_those_who_wait() {
        let mut neighbours = Neighbours::default();
        let ip = "10.0.0.9".parse().unwrap();
        assert!(!neighbours.is_ready(ip, Waiter::Lookup(1), 0));
        assert!(!neighbours.is_ready(ip, Waiter::Lookup(1), 0));
        for second in 0..3 {
            assert_eq!(neighbours.deadline(), Some(second * SECOND));
            assert_eq!(neighbours.due(second * SECOND).ask, [ip]);
            assert!(neighbours.due(second * SECOND).ask.is_empty());
        }
        let due = neighbours.due(3 * SECOND);
        assert_eq!(due.failed, [(Waiter::Lookup(1), ip)]);
        assert_eq!(neighbours.deadline(), None);
    }

    #[test]
    fn an_answer_ends_the_asking() {
        let mut neighbours = Neighbours::default();
        let ip = "fe80::9".parse().unwrap();
        assert!(!neighbours.is_ready(ip, Waiter::Lookup(1), 0));
        assert_eq!(neighbours.learn(ip), [Waiter::Lookup(1)]);
        assert!(neighbours.is_ready(ip, Waiter::Lookup(1), 5));
        assert_eq!(neighbours.deadline(), None);
        neighbours.lost(ip, 9);
        assert!(!neighbours.is_ready(ip, Waiter::Lookup(1), 9));
    }
}
