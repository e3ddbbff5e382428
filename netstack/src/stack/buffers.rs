//! The memory of all connections' buffers: how much a new connection gets, and when it gets
//! none.

use alloc::vec::Vec;

use smoltcp::socket::tcp;

use crate::request::StreamOptions;

/// Bytes of a buffer while much, some and little of the memory is free.
const SIZES: [usize; 3] = [256 << 10, 64 << 10, 16 << 10];
/// The largest ring between a program and the stack, in bytes.
const RING: usize = 64 << 10;
/// The smallest and largest buffers that a program may ask for, in bytes.
const LIMITS: (usize, usize) = (2 << 10, 16 << 20);
/// Connections whose buffers are kept for others, which are spared zeroing them.
const SPARE: usize = 8;

/// Memory that may be used, and that is. In bytes.
pub(super) struct Budget {
    total: usize,
    used: usize,
    /// Of connections that are over. They count as used.
    spare: Vec<tcp::Socket<'static>>,
}

/// Sizes of a connection's buffers, in bytes, taken from the budget.
#[derive(Debug, Default)]
pub(super) struct Share {
    pub receive: usize,
    pub send: usize,
    pub received_ring: usize,
    pub to_send_ring: usize,
}

impl Share {
    fn of(receive: usize, send: usize) -> Self {
        Self {
            receive,
            send,
            received_ring: receive.min(RING),
            to_send_ring: send.min(RING),
        }
    }

    fn bytes(&self) -> usize {
        self.receive + self.send + self.received_ring + self.to_send_ring
    }

    fn fits(&self, socket: &tcp::Socket<'_>) -> bool {
        socket.recv_capacity() == self.receive && socket.send_capacity() == self.send
    }
}

fn bytes(socket: &tcp::Socket<'_>) -> usize {
    socket.recv_capacity() + socket.send_capacity()
}

impl Budget {
    pub fn new(total: usize) -> Self {
        Self {
            total,
            used: 0,
            spare: Vec::new(),
        }
    }

    /// A new connection's buffers; `None`: there is not enough memory left.
    pub fn take(&mut self, options: &StreamOptions) -> Option<(Share, tcp::Socket<'static>)> {
        let generous = self.size();
        let wanted = |option: Option<usize>| {
            option.map_or(generous, |bytes| bytes.clamp(LIMITS.0, LIMITS.1))
        };
        let (receive, send) = (wanted(options.receive_buffer), wanted(options.send_buffer));
        let share = Share::of(receive, send);
        if let Some(at) = self.spare.iter().position(|socket| share.fits(socket)) {
            let socket = self.spare.swap_remove(at);
            self.used += share.received_ring + share.to_send_ring;
            return Some((share, socket));
        }
        let least = Share::of(receive.min(SIZES[2]), send.min(SIZES[2]));
        let share = [share, least]
            .into_iter()
            .find(|share| self.has_room(share))?;
        let socket = socket(&share)?;
        self.used += share.bytes();
        Some((share, socket))
    }

    fn has_room(&mut self, share: &Share) -> bool {
        while self.used + share.bytes() > self.total
            && let Some(socket) = self.spare.pop()
        {
            self.used -= bytes(&socket);
        }
        self.used + share.bytes() <= self.total
    }

    fn size(&self) -> usize {
        match self.used {
            used if used < self.total / 4 => SIZES[0],
            used if used < self.total / 8 * 5 => SIZES[1],
            _ => SIZES[2],
        }
    }

    /// Gives a connection's buffers back.
    pub fn give(&mut self, share: &Share, mut socket: tcp::Socket<'static>) {
        self.used -= share.bytes();
        let common = share.receive == SIZES[0] && share.send == SIZES[0];
        let plenty = self.used + bytes(&socket) <= self.total / 4;
        if common && plenty && share.fits(&socket) && self.spare.len() < SPARE {
            // What the connection leaves behind beyond this, smoltcp clears when it is used
            // again.
            socket.abort();
            self.used += bytes(&socket);
            self.spare.push(socket);
        }
    }
}

/// smoltcp's buffers for a connection; `None`: there is no memory.
fn socket(share: &Share) -> Option<tcp::Socket<'static>> {
    let receive = zeroed(share.receive)?;
    let send = zeroed(share.send)?;
    Some(tcp::Socket::new(
        tcp::SocketBuffer::new(receive),
        tcp::SocketBuffer::new(send),
    ))
}

/// Zeroes; `None`: there is no memory.
pub(super) fn zeroed(bytes: usize) -> Option<Vec<u8>> {
    // Copied rather than filled: that is fast where nothing is optimised, too.
    static ZEROES: [u8; 4096] = [0; 4096];
    let mut buffer = Vec::new();
    buffer.try_reserve_exact(bytes).ok()?;
    while buffer.len() < bytes {
        let left = bytes - buffer.len();
        buffer.extend_from_slice(&ZEROES[..left.min(ZEROES.len())]);
    }
    Some(buffer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(budget: &mut Budget) -> Option<(Share, tcp::Socket<'static>)> {
        budget.take(&StreamOptions::default())
    }

    #[test]
    fn buffers_get_smaller_as_memory_fills() {
        let mut budget = Budget::new(8 << 20);
        let mut sizes = Vec::new();
        let mut taken = Vec::new();
        while let Some((share, socket)) = take(&mut budget) {
            sizes.push(share.receive);
            taken.push((share, socket));
        }
        assert!(sizes.is_sorted_by(|one, two| one >= two));
        sizes.dedup();
        assert_eq!(sizes, SIZES);
        assert!(budget.used > (8 << 20) - (64 << 10) && budget.used <= 8 << 20);
        for (share, socket) in taken.into_iter().rev() {
            budget.give(&share, socket);
        }
        let spare: usize = budget.spare.iter().map(bytes).sum();
        assert!(spare > 0);
        assert_eq!(budget.used, spare);
    }

    #[test]
    fn a_program_gets_the_size_that_it_asks_for() {
        let mut budget = Budget::new(8 << 20);
        let options = StreamOptions {
            receive_buffer: Some(5000),
            send_buffer: Some(100_000),
            ..StreamOptions::default()
        };
        let (share, socket) = budget.take(&options).unwrap();
        assert_eq!(socket.recv_capacity(), 5000);
        assert_eq!(socket.send_capacity(), 100_000);
        assert_eq!(share.received_ring, 5000);
        budget.give(&share, socket);
        assert_eq!(budget.used, 0);
    }
}
