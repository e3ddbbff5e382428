//! Frames that the tests send, and what they must get for them.

use darner_netstack::nic::TxOffload;

/// The network that QEMU makes up: where it is, and where we are.
pub const GATEWAY: [u8; 4] = [10, 0, 2, 2];
const OWN: [u8; 4] = [10, 0, 2, 15];

const ETHERNET: usize = 14;
const IP: usize = 20;
const ICMP: usize = 8;
/// Bytes of an ICMP echo around its data.
pub const ECHO: usize = ETHERNET + ECHO_IN_IP;
/// The same without Ethernet's.
pub const ECHO_IN_IP: usize = IP + ICMP;
/// Bytes of an ARP frame.
pub const ARP: usize = ETHERNET + 28;

const TYPE_ARP: [u8; 2] = [8, 6];
const TYPE_IP: [u8; 2] = [8, 0];
/// Ethernet and IP, and the lengths of their addresses.
const ARP_KINDS: [u8; 6] = [0, 1, 8, 0, 6, 4];
const IDENTIFIER: [u8; 2] = [0xda, 0x12];

/// Asks who has the gateway's address.
pub fn ask(mac: [u8; 6], frame: &mut [u8]) -> TxOffload {
    let question: [&[u8]; 8] = [
        &[0xff; 6],
        &mac,
        &TYPE_ARP,
        &ARP_KINDS,
        &[0, 1],
        &[&mac[..], &OWN[..]].concat(),
        &[0; 6],
        &GATEWAY,
    ];
    frame.copy_from_slice(&question.concat());
    TxOffload::default()
}

/// Who has the gateway's address, if the frame says so.
pub fn answer(frame: &[u8]) -> Option<[u8; 6]> {
    let is_answer = frame.len() >= ARP
        && frame[12..14] == TYPE_ARP
        && frame[20..22] == [0, 2]
        && frame[28..32] == GATEWAY;
    is_answer.then(|| frame[22..28].try_into().expect("six bytes"))
}

/// What is asked: which echo, and how much data it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Echo {
    /// Its number.
    pub number: u16,
    /// Bytes of data.
    pub data: usize,
}

/// Asks the gateway for an echo.
pub fn echo(from: [u8; 6], to: [u8; 6], echo: Echo, frame: &mut [u8]) -> TxOffload {
    let (ethernet, ip) = frame.split_at_mut(ETHERNET);
    ethernet.copy_from_slice(&[&to[..], &from[..], &TYPE_IP[..]].concat());
    let length = (ip.len() as u16).to_be_bytes();
    let (ip, icmp) = ip.split_at_mut(IP);
    ip.copy_from_slice(
        &[
            &[0x45, 0][..],
            &length,
            &echo.number.to_be_bytes(),
            &[0, 0, 64, 1, 0, 0],
            &OWN,
            &GATEWAY,
        ]
        .concat(),
    );
    let sum = checksum(ip);
    ip[10..12].copy_from_slice(&sum);
    let (head, data) = icmp.split_at_mut(ICMP);
    head.copy_from_slice(&[&[8, 0, 0, 0][..], &IDENTIFIER, &echo.number.to_be_bytes()].concat());
    for (index, byte) in data.iter_mut().enumerate() {
        *byte = pattern(echo.number, index);
    }
    let sum = checksum(icmp);
    icmp[2..4].copy_from_slice(&sum);
    TxOffload::default()
}

/// Which echo the frame is, if it is a whole one.
pub fn echoed(frame: &[u8]) -> Option<Echo> {
    let ip = frame.get(ETHERNET..)?;
    let is_reply = frame[12..14] == TYPE_IP
        && ip.len() >= IP + ICMP
        && ip[9] == 1
        && ip[12..16] == GATEWAY
        && ip[IP] == 0
        && ip[IP + 4..IP + 6] == IDENTIFIER;
    if !is_reply {
        return None;
    }
    let length = usize::from(u16::from_be_bytes([ip[2], ip[3]]));
    let icmp = ip.get(IP..length)?;
    let number = u16::from_be_bytes([icmp[6], icmp[7]]);
    let data = &icmp[ICMP..];
    let is_whole = checksum(icmp) == [0, 0]
        && data
            .iter()
            .enumerate()
            .all(|(index, &byte)| byte == pattern(number, index));
    is_whole.then_some(Echo {
        number,
        data: data.len(),
    })
}

fn pattern(number: u16, index: usize) -> u8 {
    (usize::from(number) * 7 + index * 31 + index / 251) as u8
}

/// The Internet's checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> [u8; 2] {
    let words = bytes.chunks(2).map(|pair| {
        let low = pair.get(1).copied().unwrap_or(0);
        u64::from(u16::from_be_bytes([pair[0], low]))
    });
    let mut sum: u64 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!(sum as u16)).to_be_bytes()
}
