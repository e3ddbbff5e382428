//! TCP connections that are broken off by somebody in between.

use crate::frame::HEADER;

/// Ethernet's number for IPv4.
const IPV4: [u8; 2] = [0x08, 0x00];
/// IPv4's number for TCP.
const TCP: u8 = 6;
/// Bytes of a TCP header without options.
const TCP_HEADER: usize = 20;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

/// Makes a segment of an established connection an RST at the same place, without its bytes, as
/// somebody who listens in can send it. Says whether it was such a segment, over IPv4.
pub(crate) fn reset(frame: &mut Vec<u8>) -> bool {
    let Some((ip, tcp)) = layout(frame) else {
        return false;
    };
    if frame[tcp + 13] & (SYN | RST | ACK) != ACK {
        return false;
    }
    frame.truncate(tcp + TCP_HEADER);
    frame[tcp + 12] = 5 << 4;
    frame[tcp + 13] = RST | ACK;
    let length = (frame.len() - ip) as u16;
    frame[ip + 2..ip + 4].copy_from_slice(&length.to_be_bytes());
    put_sum(&mut frame[ip..tcp], 10, 0);
    let addresses = sum(&frame[ip + 12..ip + 20]);
    put_sum(
        &mut frame[tcp..],
        16,
        addresses + u32::from(TCP) + TCP_HEADER as u32,
    );
    true
}

/// Where the headers of IPv4 and TCP begin.
fn layout(frame: &[u8]) -> Option<(usize, usize)> {
    let ip = frame.get(HEADER..)?;
    let is_ipv4 = frame[HEADER - 2..HEADER] == IPV4;
    let header = usize::from(ip.first()? & 15) * 4;
    // The first part of a packet, and the only one.
    let is_whole = ip.get(6)? & 0x3f == 0 && *ip.get(7)? == 0;
    let is_tcp = is_ipv4 && is_whole && *ip.get(9)? == TCP && header >= 20;
    (is_tcp && ip.len() >= header + TCP_HEADER).then_some((HEADER, HEADER + header))
}

/// Writes the Internet's checksum of `header` and what adds up to `more` at `at`.
fn put_sum(header: &mut [u8], at: usize, more: u32) {
    header[at..at + 2].fill(0);
    let mut total = sum(header) + more;
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    header[at..at + 2].copy_from_slice(&(!(total as u16)).to_be_bytes());
}

fn sum(bytes: &[u8]) -> u32 {
    let pairs = bytes.chunks_exact(2);
    pairs
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::{ACK, RST, SYN, reset, sum};

    /// A segment with `bytes` of content, from 10.0.0.1 to 10.0.0.2.
    fn segment(flags: u8, bytes: usize) -> Vec<u8> {
        let mut frame = vec![2; 12];
        frame.extend([8, 0, 0x45, 0]);
        frame.extend((40 + bytes as u16).to_be_bytes());
        frame.extend([0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        frame.extend([0x1d, 0x17, 0xc0, 0, 0, 0, 0, 9, 0, 0, 0, 7, 0x50, flags]);
        frame.extend([1, 0, 0, 0, 0, 0]);
        frame.extend(vec![0x5a; bytes]);
        frame
    }

    fn folded(mut sum: u32) -> u32 {
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum
    }

    #[test]
    fn a_segment_becomes_a_reset_at_its_place() {
        let mut frame = segment(ACK | 8, 100);
        assert!(reset(&mut frame));
        assert_eq!(frame.len(), 14 + 40);
        assert_eq!(frame[16..18], [0, 40]);
        // Ports and numbers are what they were.
        assert_eq!(frame[34..46], segment(ACK, 0)[34..46]);
        assert_eq!(frame[46..48], [0x50, RST | ACK]);
        assert_eq!(folded(sum(&frame[14..34])), 0xffff);
        let pseudo = sum(&frame[26..34]) + 6 + 20;
        assert_eq!(folded(sum(&frame[34..]) + pseudo), 0xffff);
    }

    #[test]
    fn nothing_else_is_touched() {
        let mut udp = segment(ACK, 10);
        udp[14 + 9] = 17;
        let mut piece = segment(ACK, 10);
        piece[14 + 7] = 1;
        let mut arp = segment(ACK, 10);
        arp[13] = 6;
        let short = segment(ACK, 0)[..50].to_vec();
        let others = [
            udp,
            piece,
            arp,
            short,
            segment(SYN, 0),
            segment(ACK | RST, 0),
        ];
        for frame in others
            .into_iter()
            .chain((0..54).map(|length| vec![0; length]))
        {
            let mut after = frame.clone();
            // What is too short for a frame's header is none, and does not come here.
            if frame.len() >= 14 {
                assert!(!reset(&mut after));
                assert_eq!(after, frame);
            }
        }
    }
}
