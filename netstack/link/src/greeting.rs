//! What a node says of itself first, and what it is refused for.

use crate::VERSION;
use crate::fields::Fields;
use crate::identity::{Channel, CpuFeatures, Identity, Peer};
use crate::link::Role;
use crate::reason::{Part, Reason};

/// Bytes of a hello.
pub const HELLO_BYTES: usize = 2 + 2 + 2 + 1 + 2 + 8 + 32 + 4 * 8;

/// The answering end does not know yet what the link is for.
const AS_ASKED: u8 = 0;

/// A hello, with the version apart.
struct Hello {
    identity: Identity,
    channel: u8,
}

/// A hello's bytes.
pub fn hello(me: &Identity, role: Role) -> [u8; HELLO_BYTES] {
    let channel = match role {
        Role::Calls { channel, .. } => channel as u8,
        Role::Answers => AS_ASKED,
    };
    let mut bytes = [0; HELLO_BYTES];
    bytes[..2].copy_from_slice(&VERSION.to_le_bytes());
    bytes[2..4].copy_from_slice(&me.cluster_size.to_le_bytes());
    bytes[4..6].copy_from_slice(&me.node.to_le_bytes());
    bytes[6] = channel;
    bytes[7..9].copy_from_slice(&me.cpus.to_le_bytes());
    bytes[9..17].copy_from_slice(&me.incarnation.to_le_bytes());
    bytes[17..49].copy_from_slice(&me.image);
    for (place, word) in bytes[49..].chunks_exact_mut(8).zip(me.features.words()) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

/// The node that has said `bytes`, if this one wants to be linked with it.
pub fn admit(me: &Identity, role: Role, bytes: &[u8], time: u64) -> Result<Peer, Reason> {
    let malformed = Reason::Malformed { part: Part::Hello };
    let mut fields = Fields(bytes);
    // The version comes first in all versions, and decides about the rest.
    match fields.u16() {
        Some(VERSION) => {}
        Some(found) => {
            let expected = VERSION;
            return Err(Reason::Version { found, expected });
        }
        None => return Err(malformed),
    }
    let Hello { identity, channel } = decode(fields).ok_or(malformed)?;
    is_one_of_us(me, &identity)?;
    is_who_was_called(role, identity.node)?;
    runs_the_same(me, &identity)?;
    Ok(Peer {
        node: identity.node,
        incarnation: identity.incarnation,
        channel: agreed(role, channel)?,
        cpus: identity.cpus,
        time,
    })
}

fn decode(mut fields: Fields<'_>) -> Option<Hello> {
    let cluster_size = fields.u16()?;
    let node = fields.u16()?;
    let channel = fields.u8()?;
    let identity = Identity {
        node,
        cluster_size,
        cpus: fields.u16()?,
        incarnation: fields.u64()?,
        image: fields.array()?,
        features: CpuFeatures::of_words([
            fields.u64()?,
            fields.u64()?,
            fields.u64()?,
            fields.u64()?,
        ]),
    };
    fields.end(Hello { identity, channel })
}

fn is_one_of_us(me: &Identity, other: &Identity) -> Result<(), Reason> {
    let (found, expected) = (other.cluster_size, me.cluster_size);
    if found != expected {
        return Err(Reason::ClusterSize { found, expected });
    }
    let node = other.node;
    if node >= expected {
        let size = expected;
        return Err(Reason::NodeOutOfRange { node, size });
    }
    match (node == me.node, other.incarnation == me.incarnation) {
        (true, true) => Err(Reason::Itself { node }),
        (true, false) => Err(Reason::NodeTaken { node }),
        (false, _) => Ok(()),
    }
}

fn is_who_was_called(role: Role, found: u16) -> Result<(), Reason> {
    match role {
        Role::Calls { node, .. } if node != found => Err(Reason::OtherNode {
            found,
            expected: node,
        }),
        _ => Ok(()),
    }
}

fn runs_the_same(me: &Identity, other: &Identity) -> Result<(), Reason> {
    let (found, expected) = (other.image, me.image);
    if found != expected {
        return Err(Reason::Image { found, expected });
    }
    let (found, expected) = (other.features, me.features);
    if found != expected {
        return Err(Reason::Features { found, expected });
    }
    Ok(())
}

/// What the link is for: the calling end says it.
fn agreed(role: Role, said: u8) -> Result<Channel, Reason> {
    match role {
        Role::Calls { channel, .. } if said == AS_ASKED => Ok(channel),
        Role::Answers if said != AS_ASKED => {
            Channel::of(said).ok_or(Reason::Channel { found: said })
        }
        _ => Err(Reason::Channel { found: said }),
    }
}
