//! The Internet's checksum (RFC 1071): summing up, verifying and filling in.
//!
//! The sum of 16-bit words does not depend on how wide the words are that are added, nor on
//! their byte order, so long as carries are added back in and the order is put right at the
//! end (RFC 1071, section 2). Here words are of 64 bits and in the machine's order.

use core::net::{Ipv4Addr, Ipv6Addr};

/// Bytes of a word that is added.
const WORD: usize = size_of::<u64>();
/// Words that are added without a branch between.
const UNROLLED: usize = 8;

/// What the words of some bytes add up to. Pieces of any length follow each other as if they
/// were one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum {
    /// The one's complement sum so far, in the machine's byte order.
    words: u64,
    /// The bytes so far are an odd number: the next one is a word's second half.
    odd: bool,
}

impl Sum {
    /// That of no bytes.
    pub const fn new() -> Self {
        Self {
            words: 0,
            odd: false,
        }
    }

    /// The pseudo header of IPv4 (RFC 9293, section 3.1). `length` is that of the header of
    /// the transport and its payload.
    pub fn pseudo_v4(
        source: Ipv4Addr,
        destination: Ipv4Addr,
        transport: Transport,
        length: u16,
    ) -> Self {
        Self::new()
            .with(&source.octets())
            .with(&destination.octets())
            .with_u16(transport.protocol().into())
            .with_u16(length)
    }

    /// The pseudo header of IPv6 (RFC 8200, section 8.1). `length` as for IPv4.
    pub fn pseudo_v6(
        source: Ipv6Addr,
        destination: Ipv6Addr,
        transport: Transport,
        length: u32,
    ) -> Self {
        Self::new()
            .with(&source.octets())
            .with(&destination.octets())
            .with(&length.to_be_bytes())
            .with_u16(transport.protocol().into())
    }

    /// With `bytes` after what is in already.
    #[must_use]
    pub fn with(self, bytes: &[u8]) -> Self {
        let words = sum(bytes);
        // Moving all bytes on by one is multiplying by 2^8, which modulo 2^64 - 1 is this.
        let words = if self.odd {
            words.rotate_left(8)
        } else {
            words
        };
        Self {
            words: plus(self.words, words),
            odd: self.odd ^ (bytes.len() % 2 == 1),
        }
    }

    /// With `word` after what is in already.
    #[must_use]
    pub fn with_u16(self, word: u16) -> Self {
        self.with(&word.to_be_bytes())
    }

    /// The sum as a word of 16 bits: what is put where a card completes a checksum
    /// ([`crate::nic::TxChecksum`]), and 0xffff for bytes whose checksum is right.
    pub fn fold(self) -> u16 {
        let sum = (self.words >> 32) + (self.words & 0xffff_ffff);
        let sum = (sum >> 32) + (sum & 0xffff_ffff);
        let sum = (sum >> 16) + (sum & 0xffff);
        let sum = (sum >> 16) + (sum & 0xffff);
        u16::from_be(sum as u16)
    }

    /// The checksum: the sum's complement.
    pub fn checksum(self) -> u16 {
        !self.fold()
    }
}

/// What has a checksum over pseudo header and payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Transport {
    /// Its number in IP headers.
    pub const fn protocol(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
        }
    }

    /// Where its header has the checksum, in bytes.
    pub const fn checksum_offset(self) -> usize {
        match self {
            Self::Tcp => 16,
            Self::Udp => 6,
        }
    }
}

/// Whether a UDP datagram may come without a checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// Over IPv4 (RFC 768).
    Allowed,
    /// Over IPv6 (RFC 8200), and of TCP.
    Refused,
}

/// Whether the checksum of `segment`, a transport's header with its payload, is right.
/// `pseudo` is the sum of the pseudo header. What is too short to have one is not.
pub fn verify(pseudo: Sum, transport: Transport, absent: Absent, segment: &[u8]) -> bool {
    let offset = transport.checksum_offset();
    let Some(&field) = segment.get(offset..).and_then(<[u8]>::first_chunk::<2>) else {
        return false;
    };
    if transport == Transport::Udp && field == [0, 0] {
        return absent == Absent::Allowed;
    }
    pseudo.with(segment).fold() == 0xffff
}

/// Puts the checksum into `segment`, a transport's header with its payload, whatever is in the
/// field before. `pseudo` is the sum of the pseudo header. UDP's is never zero, which
/// would mean that there is none.
///
/// # Panics
/// When `segment` is shorter than the header.
pub fn fill(pseudo: Sum, transport: Transport, segment: &mut [u8]) {
    put(transport, segment, 0);
    let checksum = pseudo.with(segment).checksum();
    let checksum = match (transport, checksum) {
        (Transport::Udp, 0) => 0xffff,
        (_, checksum) => checksum,
    };
    put(transport, segment, checksum);
}

/// Puts the pseudo header's sum where the checksum goes, for a card to complete.
///
/// # Panics
/// When `segment` is shorter than the header.
pub fn fill_partial(pseudo: Sum, transport: Transport, segment: &mut [u8]) {
    put(transport, segment, pseudo.fold());
}

fn put(transport: Transport, segment: &mut [u8], field: u16) {
    let offset = transport.checksum_offset();
    segment[offset..offset + 2].copy_from_slice(&field.to_be_bytes());
}

/// The one's complement sum of `bytes` from an even place on, in the machine's byte order.
fn sum(bytes: &[u8]) -> u64 {
    let (blocks, rest) = bytes.as_chunks::<{ WORD * UNROLLED }>();
    let total = blocks
        .iter()
        .fold(0, |total, block| add_words(total, block.as_chunks().0));
    let (words, rest) = rest.as_chunks();
    plus(add_words(total, words), last_word(rest))
}

/// The at most seven bytes of `rest`, and zeros.
fn last_word(rest: &[u8]) -> u64 {
    let mut word = 0;
    let (double, rest) = rest.as_chunks();
    if let [double] = double {
        word = u64::from(u32::from_ne_bytes(*double));
    }
    let (pair, rest) = rest.as_chunks();
    if let [pair] = pair {
        word += u64::from(u16::from_ne_bytes(*pair));
    }
    if let [byte] = rest {
        word += u64::from(u16::from_ne_bytes([*byte, 0]));
    }
    word
}

fn add_words(total: u64, words: &[[u8; WORD]]) -> u64 {
    let (total, carry) = words.iter().fold((total, false), |(total, carry), word| {
        total.carrying_add(u64::from_ne_bytes(*word), carry)
    });
    plus(total, carry.into())
}

/// One's complement addition.
fn plus(a: u64, b: u64) -> u64 {
    let (sum, carry) = a.overflowing_add(b);
    // Sums that overflow are far from doing it again.
    sum + u64::from(carry)
}

#[cfg(test)]
mod tests;
