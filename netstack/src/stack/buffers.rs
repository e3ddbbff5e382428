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

/// Memory that may be used, and that is. In bytes.
pub(super) struct Budget {
    total: usize,
    used: usize,
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
}

impl Budget {
    pub fn new(total: usize) -> Self {
        Self { total, used: 0 }
    }

    /// The share of a new connection with such options; `None`: there is not enough left.
    pub fn take(&mut self, options: &StreamOptions) -> Option<Share> {
        let generous = self.size();
        let wanted = |option: Option<usize>| {
            option.map_or(generous, |bytes| bytes.clamp(LIMITS.0, LIMITS.1))
        };
        let mut share = Share::of(wanted(options.receive_buffer), wanted(options.send_buffer));
        if self.used + share.bytes() > self.total {
            let least = SIZES[2];
            share = Share::of(share.receive.min(least), share.send.min(least));
        }
        if self.used + share.bytes() > self.total {
            return None;
        }
        self.used += share.bytes();
        Some(share)
    }

    fn size(&self) -> usize {
        match self.used {
            used if used < self.total / 4 => SIZES[0],
            used if used < self.total / 8 * 5 => SIZES[1],
            _ => SIZES[2],
        }
    }

    /// Gives a share back.
    pub fn give(&mut self, share: Share) {
        self.used -= share.bytes();
    }
}

/// smoltcp's buffers for a connection; `None`: there is no memory.
pub(super) fn socket(share: &Share) -> Option<tcp::Socket<'static>> {
    let receive = zeroed(share.receive)?;
    let send = zeroed(share.send)?;
    Some(tcp::Socket::new(
        tcp::SocketBuffer::new(receive),
        tcp::SocketBuffer::new(send),
    ))
}

/// Zeroes; `None`: there is no memory.
pub(super) fn zeroed(bytes: usize) -> Option<Vec<u8>> {
    let mut buffer = Vec::new();
    buffer.try_reserve_exact(bytes).ok()?;
    buffer.resize(bytes, 0);
    Some(buffer)
}
