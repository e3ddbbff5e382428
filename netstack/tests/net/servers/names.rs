//! A name server (RFC 1035).

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const A: u16 = 1;
const CNAME: u16 = 5;
const AAAA: u16 = 28;

/// What it knows of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// It has these addresses.
    Addresses(Vec<IpAddr>),
    /// It is another name for that.
    Alias(&'static str),
    /// The server is broken for this name.
    Failure,
    /// No answer ever comes.
    Silence,
}

/// A server. What it does not know does not exist.
#[derive(Default)]
pub struct NameServer {
    pub entries: BTreeMap<&'static str, Entry>,
    /// What it was asked: name and type.
    pub log: Vec<(String, u16)>,
    /// Questions that it does not hear, from the first on.
    pub deaf: usize,
}

impl NameServer {
    pub fn with(entries: impl IntoIterator<Item = (&'static str, Entry)>) -> Self {
        Self {
            entries: entries.into_iter().collect(),
            ..Self::default()
        }
    }

    /// What it answers to a question.
    pub fn answer(&mut self, question: &[u8]) -> Option<Vec<u8>> {
        let (name, end) = read_name(question, 12)?;
        let kind = u16::from_be_bytes(*question.get(end..)?.first_chunk()?);
        self.log.push((name.clone(), kind));
        if self.log.len() <= self.deaf {
            return None;
        }
        let mut records = Vec::new();
        let rcode = self.resolve(&name, kind, &mut records)?;
        let mut answer = question[..2].to_vec();
        // A recursive answer.
        answer.extend([0x81, 0x80 | rcode]);
        answer.extend([0, 1]);
        answer.extend((records.len() as u16).to_be_bytes());
        answer.extend([0, 0, 0, 0]);
        answer.extend(&question[12..end + 4]);
        for (owner, kind, data) in records {
            answer.extend(write_name(&owner));
            answer.extend(kind.to_be_bytes());
            answer.extend([0, 1, 0, 0, 0, 60]);
            answer.extend((data.len() as u16).to_be_bytes());
            answer.extend(data);
        }
        Some(answer)
    }

    fn resolve(
        &self,
        name: &str,
        kind: u16,
        records: &mut Vec<(String, u16, Vec<u8>)>,
    ) -> Option<u8> {
        match self.entries.get(name) {
            None => Some(3),
            Some(Entry::Failure) => Some(2),
            Some(Entry::Silence) => None,
            Some(Entry::Alias(target)) => {
                records.push((name.to_string(), CNAME, write_name(target)));
                self.resolve(target, kind, records)
            }
            Some(Entry::Addresses(addresses)) => {
                for address in addresses {
                    let (of, data) = match address {
                        IpAddr::V4(v4) => (A, Ipv4Addr::octets(v4).to_vec()),
                        IpAddr::V6(v6) => (AAAA, Ipv6Addr::octets(v6).to_vec()),
                    };
                    if of == kind {
                        records.push((name.to_string(), kind, data));
                    }
                }
                Some(0)
            }
        }
    }
}

/// The name at `start`, and where it ends.
fn read_name(message: &[u8], start: usize) -> Option<(String, usize)> {
    let mut labels = Vec::new();
    let mut at = start;
    loop {
        let length = usize::from(*message.get(at)?);
        at += 1;
        if length == 0 {
            return Some((labels.join("."), at));
        }
        let label = message.get(at..at + length)?;
        labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
        at += length;
    }
}

fn write_name(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.') {
        bytes.push(label.len() as u8);
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}
