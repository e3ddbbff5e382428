//! Makes right frames wrong.

use darner_netstack::checksum::{Sum, Transport};
use fastrand::Rng;

use crate::sim::offload::ETHERNET;

/// Changes something.
pub fn once(frame: &mut Vec<u8>, other: &[u8], rng: &mut Rng) {
    if frame.is_empty() {
        frame.push(rng.u8(..));
        return;
    }
    let at = place(frame.len(), rng);
    match rng.u8(..10) {
        0..3 => frame[at] ^= 1 << rng.u8(..8),
        3 => frame[at] = [0, 1, 0x7f, 0x80, 0xff, rng.u8(..)][rng.usize(..6)],
        4 => frame.truncate(at),
        5 => frame.extend((0..rng.usize(..64)).map(|_| rng.u8(..))),
        6 => change_number(frame, at, rng),
        7 => splice(frame, at, other, rng),
        8 => {
            let end = (at + rng.usize(1..9)).min(frame.len());
            frame.drain(at..end);
        }
        _ => {
            let end = (at + rng.usize(1..9)).min(frame.len());
            let piece = frame[at..end].to_vec();
            frame.splice(at..at, piece);
        }
    }
    frame.truncate(1514);
}

/// Headers more often than what is behind them.
fn place(length: usize, rng: &mut Rng) -> usize {
    let end = if rng.u8(..4) > 0 {
        length.min(90)
    } else {
        length
    };
    let begin = if end > ETHERNET && rng.u8(..8) > 0 {
        ETHERNET
    } else {
        0
    };
    rng.usize(begin..end)
}

/// Lengths, offsets, ports, sequence numbers are of two or four bytes.
fn change_number(frame: &mut [u8], at: usize, rng: &mut Rng) {
    let Some(field) = frame
        .get_mut(at & !1..)
        .and_then(<[u8]>::first_chunk_mut::<2>)
    else {
        return;
    };
    let old = u16::from_be_bytes(*field);
    let new = match rng.u8(..6) {
        0 => 0,
        1 => u16::MAX,
        2 => old.wrapping_add(u16::from(rng.u8(..9))),
        3 => old.wrapping_sub(u16::from(rng.u8(..9))),
        4 => rng.u16(..64),
        _ => rng.u16(..),
    };
    *field = new.to_be_bytes();
}

fn splice(frame: &mut Vec<u8>, at: usize, other: &[u8], rng: &mut Rng) {
    if other.is_empty() {
        return;
    }
    let from = rng.usize(..other.len());
    if rng.bool() {
        frame.truncate(at);
        frame.extend(&other[from.min(at)..]);
    } else {
        let count = rng
            .usize(1..=16)
            .min(other.len() - from)
            .min(frame.len() - at);
        frame[at..at + count].copy_from_slice(&other[from..from + count]);
    }
}

/// Makes checksums right again, as far as the frame has any: what is looked at first would
/// hide all that is behind it.
pub fn mend(frame: &mut [u8]) -> Option<()> {
    match frame.get(12..14)? {
        [0x08, 0x00] => {
            let length = usize::from(frame.get(ETHERNET)? & 15) * 4;
            let header = frame.get_mut(ETHERNET..ETHERNET + length)?;
            header.get(19)?;
            header[10..12].fill(0);
            let sum = Sum::new().with(header).checksum();
            header[10..12].copy_from_slice(&sum.to_be_bytes());
            let (protocol, addresses) = (header[9], header[12..20].to_vec());
            let end = ETHERNET + usize::from(u16::from_be_bytes([header[2], header[3]]));
            mend_payload(frame.get_mut(ETHERNET + length..end)?, protocol, &addresses)
        }
        [0x86, 0xdd] => {
            let header = frame.get(ETHERNET..ETHERNET + 40)?;
            let (protocol, addresses) = (header[6], header[8..40].to_vec());
            let end = ETHERNET + 40 + usize::from(u16::from_be_bytes([header[4], header[5]]));
            mend_payload(frame.get_mut(ETHERNET + 40..end)?, protocol, &addresses)
        }
        _ => None,
    }
}

fn mend_payload(payload: &mut [u8], protocol: u8, addresses: &[u8]) -> Option<()> {
    let (offset, with_addresses) = match protocol {
        1 | 2 => (2, false),
        6 => (Transport::Tcp.checksum_offset(), true),
        17 => (Transport::Udp.checksum_offset(), true),
        58 => (2, true),
        _ => return None,
    };
    payload.get_mut(offset..offset + 2)?.fill(0);
    let mut sum = Sum::new().with(payload);
    if payload.len() % 2 == 1 {
        sum = sum.with(&[0]);
    }
    if with_addresses {
        let length = u16::try_from(payload.len()).ok()?;
        sum = sum
            .with(addresses)
            .with_u16(protocol.into())
            .with_u16(length);
    }
    let checksum = match sum.checksum() {
        0 if protocol == 17 => 0xffff,
        checksum => checksum,
    };
    payload[offset..offset + 2].copy_from_slice(&checksum.to_be_bytes());
    Some(())
}
