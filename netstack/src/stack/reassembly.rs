//! Packets that arrive in pieces.
//!
//! smoltcp could put IPv4's together, but would then have to be shown all sockets, since
//! nobody knows beforehand whose the packet is, and it does not know IPv6's. So pieces are put
//! together first, and what comes out is a frame like any other.

use alloc::vec::Vec;
use core::net::IpAddr;

use smoltcp::wire::Ipv4Packet;

use super::classify::{ETHERNET, Packet, u16_at, u32_at};
use super::random::Map;
use crate::Nanos;

const SECOND: Nanos = 1_000_000_000;
/// How long a packet's pieces are waited for.
const PATIENCE: Nanos = 30 * SECOND;
/// Packets whose pieces are waited for, at most; the oldest gives way.
const PACKETS: usize = 16;
/// Separate ranges of a packet that are known, at most.
const RANGES: usize = 64;
/// Bytes that IP carries at most.
const LARGEST: usize = 65_535 - 20;

/// Whose pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Id {
    netif: usize,
    source: IpAddr,
    destination: IpAddr,
    number: u32,
    protocol: u8,
}

/// A packet of which there are some pieces.
struct Whole {
    began: Nanos,
    /// All headers before what is in pieces, from the first piece.
    headers: Option<Vec<u8>>,
    data: Vec<u8>,
    /// What is there of `data`, in order and with gaps between.
    ranges: Vec<(usize, usize)>,
    length: Option<usize>,
}

/// All packets of which there are some pieces.
#[derive(Default)]
pub(super) struct Reassembly {
    wholes: Map<Id, Whole>,
    /// The deadline that the timers have.
    pub timer: Option<Nanos>,
}

/// What a piece says of itself.
struct Piece<'a> {
    id: Id,
    offset: usize,
    last: bool,
    headers: &'a [u8],
    data: &'a [u8],
}

impl Reassembly {
    /// Takes a piece. When it was the last that was missing, the packet comes out, as a frame.
    pub fn add(
        &mut self,
        netif: usize,
        frame: &[u8],
        packet: &Packet,
        now: Nanos,
    ) -> Option<Vec<u8>> {
        let piece = match packet.source {
            IpAddr::V4(_) => piece_v4(netif, frame, packet)?,
            IpAddr::V6(_) => piece_v6(netif, frame, packet)?,
        };
        if !self.wholes.contains_key(&piece.id) {
            self.make_room();
            self.wholes.insert(piece.id, Whole::new(now));
        }
        let id = piece.id;
        let whole = self.wholes.get_mut(&id)?;
        if whole.add(&piece).is_none() {
            // Pieces that contradict each other are somebody's trick.
            self.wholes.remove(&id);
            return None;
        }
        if !whole.is_complete() {
            return None;
        }
        self.wholes.remove(&id)?.frame(&id)
    }

    fn make_room(&mut self) {
        if self.wholes.len() < PACKETS {
            return;
        }
        let oldest = self.wholes.iter().min_by_key(|(_, whole)| whole.began);
        if let Some(id) = oldest.map(|(id, _)| *id) {
            self.wholes.remove(&id);
        }
    }

    /// When pieces have been waited for long enough.
    pub fn deadline(&self) -> Option<Nanos> {
        let began = self.wholes.values().map(|whole| whole.began);
        began.min().map(|began| began + PATIENCE)
    }

    /// Forgets packets whose other pieces do not come.
    pub fn expire(&mut self, now: Nanos) {
        self.wholes.retain(|_, whole| now < whole.began + PATIENCE);
    }
}

impl Whole {
    fn new(now: Nanos) -> Self {
        Self {
            began: now,
            headers: None,
            data: Vec::new(),
            ranges: Vec::new(),
            length: None,
        }
    }

    /// `None`: it does not fit to what is there, or there is no memory.
    fn add(&mut self, piece: &Piece<'_>) -> Option<()> {
        let (start, end) = (piece.offset, piece.offset + piece.data.len());
        let ragged = !piece.last && !piece.data.len().is_multiple_of(8);
        if start == end || end > LARGEST || ragged || self.length.is_some_and(|all| end > all) {
            return None;
        }
        if piece.last && self.length.is_some_and(|all| all != end) {
            return None;
        }
        if self.ranges.contains(&(start, end)) {
            return Some(());
        }
        let at = self.ranges.partition_point(|range| range.0 < start);
        let before = at.checked_sub(1).map(|at| self.ranges[at].1);
        let after = self.ranges.get(at).map(|range| range.0);
        let overlaps =
            before.is_some_and(|before| before > start) || after.is_some_and(|after| after < end);
        let past_the_end = piece.last && self.data.len() > end;
        if overlaps || past_the_end || self.ranges.len() >= RANGES {
            return None;
        }
        if self.data.len() < end {
            self.data.try_reserve(end - self.data.len()).ok()?;
            self.data.resize(end, 0);
        }
        self.data[start..end].copy_from_slice(piece.data);
        self.ranges.insert(at, (start, end));
        if start == 0 {
            self.headers = Some(piece.headers.to_vec());
        }
        if piece.last {
            self.length = Some(end);
        }
        Some(())
    }

    fn is_complete(&self) -> bool {
        let mut reached = 0;
        for (start, end) in &self.ranges {
            if *start != reached {
                return false;
            }
            reached = *end;
        }
        self.headers.is_some() && self.length == Some(reached)
    }

    /// The packet as it would have come in one piece.
    fn frame(self, id: &Id) -> Option<Vec<u8>> {
        let mut frame = self.headers?;
        frame.try_reserve(self.data.len()).ok()?;
        frame.extend_from_slice(&self.data);
        let ip = &mut frame[ETHERNET..];
        match id.source {
            IpAddr::V4(_) => {
                let length = u16::try_from(ip.len()).ok()?;
                let mut packet = Ipv4Packet::new_unchecked(ip);
                packet.set_total_len(length);
                packet.set_more_frags(false);
                packet.set_frag_offset(0);
                packet.fill_checksum();
            }
            IpAddr::V6(_) => {
                let length = u16::try_from(self.data.len()).ok()?;
                ip[4..6].copy_from_slice(&length.to_be_bytes());
                ip[6] = id.protocol;
            }
        }
        Some(frame)
    }
}

fn piece_v4<'a>(netif: usize, frame: &'a [u8], packet: &Packet) -> Option<Piece<'a>> {
    let place = u16_at(frame, packet.ip + 6)?;
    Some(Piece {
        id: Id {
            netif,
            source: packet.source,
            destination: packet.destination,
            number: u16_at(frame, packet.ip + 4)?.into(),
            protocol: packet.protocol,
        },
        offset: 8 * usize::from(place & 0x1fff),
        last: place & 0x2000 == 0,
        headers: frame.get(..packet.payload)?,
        data: frame.get(packet.payload..packet.end)?,
    })
}

fn piece_v6<'a>(netif: usize, frame: &'a [u8], packet: &Packet) -> Option<Piece<'a>> {
    let header = frame.get(packet.payload..packet.payload + 8)?;
    let place = u16_at(header, 2)?;
    Some(Piece {
        id: Id {
            netif,
            source: packet.source,
            destination: packet.destination,
            number: u32_at(header, 4)?,
            protocol: header[0],
        },
        offset: usize::from(place & 0xfff8),
        last: place & 1 == 0,
        headers: frame.get(..packet.payload)?,
        data: frame.get(packet.payload + 8..packet.end)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::classify::{self, Frame};

    /// Pieces of an IPv4 packet with `data`, cut at multiples of `size`.
    fn pieces(data: &[u8], size: usize) -> Vec<Vec<u8>> {
        let cut = |(index, chunk): (usize, &[u8])| {
            let offset = index * size;
            let more = u16::from(offset + chunk.len() < data.len()) << 13;
            let mut frame = alloc::vec![0; 34];
            frame[12] = 8;
            frame[14] = 0x45;
            frame[16..18].copy_from_slice(&(20 + chunk.len() as u16).to_be_bytes());
            frame[18] = 7;
            frame[20..22].copy_from_slice(&(more | (offset / 8) as u16).to_be_bytes());
            frame[23] = 17;
            frame[26..34].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
            frame.extend_from_slice(chunk);
            frame
        };
        data.chunks(size).enumerate().map(cut).collect()
    }

    fn add(reassembly: &mut Reassembly, frame: &[u8]) -> Option<Vec<u8>> {
        let Frame::Fragment(packet) = classify::ethernet(frame) else {
            panic!("not a piece");
        };
        reassembly.add(1, frame, &packet, 0)
    }

    fn datagram() -> Vec<u8> {
        let mut data: Vec<u8> = (0..100).collect();
        data[4..6].copy_from_slice(&100u16.to_be_bytes());
        data
    }

    #[test]
    fn pieces_in_any_order_make_the_packet() {
        let data = datagram();
        let mut frames = pieces(&data, 24);
        frames.swap(0, 3);
        frames.swap(1, 4);
        let mut reassembly = Reassembly::default();
        let last = frames.pop().unwrap();
        for frame in frames.iter().chain(&frames) {
            assert_eq!(add(&mut reassembly, frame), None);
        }
        let whole = add(&mut reassembly, &last).unwrap();
        assert!(matches!(classify::ethernet(&whole), Frame::Udp(..)));
        assert_eq!(&whole[34..], &data[..]);
        assert_eq!(reassembly.deadline(), None);
    }

    #[test]
    fn pieces_that_overlap_are_no_packet() {
        let data = datagram();
        let mut reassembly = Reassembly::default();
        assert_eq!(add(&mut reassembly, &pieces(&data, 24)[1]), None);
        assert_eq!(add(&mut reassembly, &pieces(&data, 40)[0]), None);
        assert_eq!(reassembly.deadline(), None);
    }

    #[test]
    fn what_stays_in_pieces_is_forgotten() {
        let mut reassembly = Reassembly::default();
        add(&mut reassembly, &pieces(&datagram(), 24)[0]);
        assert_eq!(reassembly.deadline(), Some(PATIENCE));
        reassembly.expire(PATIENCE);
        assert_eq!(reassembly.deadline(), None);
    }
}
