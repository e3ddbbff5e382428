//! Connections that are over, but whose last segments may still be under way (RFC 9293,
//! section 3.6.1).
//!
//! smoltcp would keep a connection's buffers for that; a few numbers are enough.

use alloc::collections::VecDeque;
use core::net::SocketAddr;

use foldhash::fast::FixedState;
use smoltcp::wire::{IpProtocol, IpRepr, TcpControl, TcpRepr, TcpSeqNumber};

use super::classify::Segment;
use super::flow::Key;
use super::netif::Netif;
use super::random::Map;
use crate::Nanos;
use crate::socket::SocketId;

/// How long they are kept.
const PATIENCE: Nanos = 60_000_000_000;
/// How many are kept; the oldest gives way.
const MOST: usize = 1024;

/// All connections in TIME-WAIT.
pub(super) struct TimeWait {
    connections: Map<Key, Past>,
    /// Oldest first. Some have gone since, or been kept for longer.
    order: VecDeque<(Nanos, Key)>,
    /// The deadline that the timers have.
    pub timer: Option<Nanos>,
}

/// What is left of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Past {
    pub id: SocketId,
    pub local: SocketAddr,
    pub remote: SocketAddr,
    /// The sequence numbers after the last ones of this end, and of the other.
    pub next: u32,
    pub expected: u32,
    pub until: Nanos,
}

impl TimeWait {
    pub fn new(seed: u64) -> Self {
        Self {
            connections: Map::with_hasher(FixedState::with_seed(seed)),
            order: VecDeque::new(),
            timer: None,
        }
    }

    /// Keeps a connection. Another one may have to go for it.
    pub fn keep(&mut self, key: Key, mut past: Past, now: Nanos) -> Option<Past> {
        past.until = now + PATIENCE;
        let oldest = if self.connections.len() >= MOST {
            self.pop_oldest()
        } else {
            None
        };
        self.connections.insert(key, past);
        self.order.push_back((past.until, key));
        oldest
    }

    fn pop_oldest(&mut self) -> Option<Past> {
        while let Some((until, key)) = self.order.pop_front() {
            if self
                .connections
                .get(&key)
                .is_some_and(|past| past.until == until)
            {
                return self.connections.remove(&key);
            }
        }
        None
    }

    pub fn get(&self, key: &Key) -> Option<&Past> {
        self.connections.get(key)
    }

    pub fn remove(&mut self, key: &Key) -> Option<Past> {
        self.connections.remove(key)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Past> {
        self.connections.values()
    }

    /// When the first one has been kept for long enough.
    pub fn deadline(&self) -> Option<Nanos> {
        self.order.front().map(|(until, _)| *until)
    }

    /// Takes one that has been kept for long enough.
    pub fn expire(&mut self, now: Nanos) -> Option<Past> {
        while self.order.front().is_some_and(|(until, _)| *until <= now) {
            let (until, key) = self.order.pop_front()?;
            match self.connections.get(&key) {
                Some(past) if past.until == until => return self.connections.remove(&key),
                Some(past) if past.until <= now => {}
                // It was kept for longer.
                Some(past) => self.order.push_back((past.until, key)),
                None => {}
            }
        }
        None
    }

    /// A segment has come for one, and is the interface's first frame. Whoever still sends has
    /// not heard that all has arrived.
    pub fn ingress(&mut self, key: &Key, segment: &Segment, netif: &mut Netif, now: Nanos) {
        let Some(past) = self.connections.get_mut(key) else {
            return;
        };
        // RFC 1337: an RST must not end it.
        let is_news = segment.length > 0 || segment.sequence != past.expected;
        if is_news && !segment.flags.is_reset() {
            past.until = now + PATIENCE;
            netif.reply(&acknowledgement(past));
        }
        netif.release();
    }
}

/// The last acknowledgement, once more.
fn acknowledgement(past: &Past) -> (IpRepr, TcpRepr<'static>) {
    let segment = TcpRepr {
        src_port: past.local.port(),
        dst_port: past.remote.port(),
        control: TcpControl::None,
        seq_number: TcpSeqNumber(past.next as i32),
        ack_number: Some(TcpSeqNumber(past.expected as i32)),
        window_len: 0,
        window_scale: None,
        max_seg_size: None,
        sack_permitted: false,
        sack_ranges: [None; 3],
        timestamp: None,
        payload: &[],
    };
    let (local, remote) = (past.local.ip().into(), past.remote.ip().into());
    let packet = IpRepr::new(local, remote, IpProtocol::Tcp, segment.buffer_len(), 64);
    (packet, segment)
}
