//! What is said about who is in the cluster.

use super::layout::{BallotPart, HeartbeatPart, MemberPart, RefusedPart, SlotPart, ViewPart};
use super::{ClusterKind, begin, put_span, take_span};
use crate::parts::{Reader, Whole, Writer};
use crate::refusal::Refusal;
use alloc::vec::Vec;
use darner_cluster::{
    Address, Ballot, ClusterId, Epoch, Incarnation, JoinRefusal, Member, MembershipMessage, Nanos,
    NodeId, Packet, SLOTS, Slot, SlotSet, Standing, TieBreak, View, Wish,
};
use zerocopy::little_endian::{U16, U32, U64};

/// The flag of a heartbeat that has granted one, and of a promise that tells of a view.
const MORE: u8 = 0;

pub(super) fn encode(packet: &Packet, message: &MembershipMessage) -> Result<Whole, Refusal> {
    let begin = |kind, flags| begin(packet, kind, flags);
    let mut writer;
    match message {
        MembershipMessage::Join { member } => {
            writer = begin(ClusterKind::Join, 0);
            put_member(&mut writer, member);
        }
        MembershipMessage::JoinRefused {
            joiner,
            incarnation,
            why,
        } => {
            writer = begin(ClusterKind::JoinRefused, 0);
            writer.put(&RefusedPart {
                joiner: U16::new(joiner.0),
                incarnation: U64::new(incarnation.0),
                why: refusal_number(*why),
            });
        }
        MembershipMessage::Wish { wish } => {
            writer = begin(ClusterKind::Wish, 0);
            writer.put(&u8::from(*wish == Wish::Leave));
        }
        MembershipMessage::Heartbeat {
            sent,
            granted,
            hears,
        } => {
            writer = begin(ClusterKind::Heartbeat, u8::from(granted.is_some()) << MORE);
            writer.put(&HeartbeatPart {
                sent: U64::new(sent.0),
                hears: U64::new(hears.0),
            });
            put_span(&mut writer, *granted);
        }
        MembershipMessage::Prepare { ballot } => {
            writer = begin(ClusterKind::Prepare, 0);
            put_ballot(&mut writer, ballot);
        }
        MembershipMessage::Promise {
            ballot,
            hears,
            accepted,
        } => {
            writer = begin(ClusterKind::Promise, u8::from(accepted.is_some()) << MORE);
            put_ballot(&mut writer, ballot);
            writer.put(&U64::new(hears.0));
            if let Some((ballot, view)) = accepted {
                put_ballot(&mut writer, ballot);
                put_view(&mut writer, view)?;
            }
        }
        MembershipMessage::Accept { ballot, view } => {
            writer = begin(ClusterKind::Accept, 0);
            put_ballot(&mut writer, ballot);
            put_view(&mut writer, view)?;
        }
        MembershipMessage::Accepted { ballot } => {
            writer = begin(ClusterKind::Accepted, 0);
            put_ballot(&mut writer, ballot);
        }
        MembershipMessage::Outbid { ballot, promised } => {
            writer = begin(ClusterKind::Outbid, 0);
            put_ballot(&mut writer, ballot);
            put_ballot(&mut writer, promised);
        }
        MembershipMessage::Decided { view } => {
            writer = begin(ClusterKind::Decided, 0);
            put_view(&mut writer, view)?;
        }
        MembershipMessage::Removed => writer = begin(ClusterKind::Removed, 0),
    }
    Ok(writer.end())
}

pub(super) fn parse(kind: ClusterKind, reader: &mut Reader) -> Result<MembershipMessage, Refusal> {
    Ok(match kind {
        ClusterKind::Join => MembershipMessage::Join {
            member: take_member(reader)?,
        },
        ClusterKind::JoinRefused => {
            let part: &RefusedPart = reader.take()?;
            MembershipMessage::JoinRefused {
                joiner: NodeId(part.joiner.get()),
                incarnation: Incarnation(part.incarnation.get()),
                why: refusal(part.why)?,
            }
        }
        ClusterKind::Wish => MembershipMessage::Wish {
            wish: match reader.take::<u8>()? {
                0 => Wish::Drain,
                1 => Wish::Leave,
                _ => return Err(Refusal::Meaningless { field: "wish" }),
            },
        },
        ClusterKind::Heartbeat => {
            let part: &HeartbeatPart = reader.take()?;
            MembershipMessage::Heartbeat {
                sent: Nanos(part.sent.get()),
                granted: take_span(reader, MORE)?,
                hears: SlotSet(part.hears.get()),
            }
        }
        ClusterKind::Prepare => MembershipMessage::Prepare {
            ballot: take_ballot(reader)?,
        },
        ClusterKind::Promise => MembershipMessage::Promise {
            ballot: take_ballot(reader)?,
            hears: SlotSet(reader.take::<U64>()?.get()),
            accepted: match reader.flag(MORE) {
                0 => None,
                _ => Some((take_ballot(reader)?, take_view(reader)?)),
            },
        },
        ClusterKind::Accept => MembershipMessage::Accept {
            ballot: take_ballot(reader)?,
            view: take_view(reader)?,
        },
        ClusterKind::Accepted => MembershipMessage::Accepted {
            ballot: take_ballot(reader)?,
        },
        ClusterKind::Outbid => MembershipMessage::Outbid {
            ballot: take_ballot(reader)?,
            promised: take_ballot(reader)?,
        },
        ClusterKind::Decided => MembershipMessage::Decided {
            view: take_view(reader)?,
        },
        ClusterKind::Removed => MembershipMessage::Removed,
        other => return Err(Refusal::UnknownKind { found: other as u8 }),
    })
}

fn refusal_number(why: JoinRefusal) -> u8 {
    match why {
        JoinRefusal::SlotTaken => 0,
        JoinRefusal::Outlived => 1,
        JoinRefusal::NoSuchSlot => 2,
        JoinRefusal::NoIncarnation => 3,
    }
}

fn refusal(number: u8) -> Result<JoinRefusal, Refusal> {
    match number {
        0 => Ok(JoinRefusal::SlotTaken),
        1 => Ok(JoinRefusal::Outlived),
        2 => Ok(JoinRefusal::NoSuchSlot),
        3 => Ok(JoinRefusal::NoIncarnation),
        _ => Err(Refusal::Meaningless {
            field: "join refusal",
        }),
    }
}

fn put_ballot(writer: &mut Writer, ballot: &Ballot) {
    writer.put(&BallotPart {
        round: U32::new(ballot.round),
        node: U16::new(ballot.node.0),
    });
}

fn take_ballot(reader: &mut Reader) -> Result<Ballot, Refusal> {
    let part: &BallotPart = reader.take()?;
    Ok(Ballot {
        round: part.round.get(),
        node: NodeId(part.node.get()),
    })
}

fn put_member(writer: &mut Writer, member: &Member) {
    writer.put(&MemberPart {
        node: U16::new(member.node.0),
        incarnation: U64::new(member.incarnation.0),
        ip: member.address.ip,
        port: U16::new(member.address.port),
        standing: u8::from(member.standing == Standing::Draining),
    });
}

fn take_member(reader: &mut Reader) -> Result<Member, Refusal> {
    let part: &MemberPart = reader.take()?;
    Ok(Member {
        node: NodeId(part.node.get()),
        incarnation: Incarnation(part.incarnation.get()),
        address: Address {
            ip: part.ip,
            port: part.port.get(),
        },
        standing: match part.standing {
            0 => Standing::Active,
            1 => Standing::Draining,
            _ => return Err(Refusal::Meaningless { field: "standing" }),
        },
    })
}

/// How many members or slots a view has.
fn count<T>(found: &[T]) -> Result<u8, Refusal> {
    let found = u16::try_from(found.len()).unwrap_or(u16::MAX);
    check_count(found)?;
    Ok(found as u8)
}

fn check_count(found: u16) -> Result<(), Refusal> {
    if found <= SLOTS {
        Ok(())
    } else {
        Err(Refusal::TooManySlots { found })
    }
}

fn put_view(writer: &mut Writer, view: &View) -> Result<(), Refusal> {
    writer.put(&ViewPart {
        cluster: U64::new(view.cluster.0),
        epoch: U32::new(view.epoch.0),
        unused_home: U16::new(view.unused_home.0),
        tie_break: u8::from(view.tie_break == TieBreak::Lowest),
        members: count(&view.members)?,
        slots: count(&view.slots)?,
    });
    for member in &view.members {
        put_member(writer, member);
    }
    for slot in &view.slots {
        writer.put(&SlotPart {
            node: U16::new(slot.node.0),
            home: U16::new(slot.home.0),
            last: U64::new(slot.last.0),
        });
    }
    Ok(())
}

/// A view, sound or not: whoever takes it has to see.
fn take_view(reader: &mut Reader) -> Result<View, Refusal> {
    let part: &ViewPart = reader.take()?;
    check_count(part.members.into())?;
    check_count(part.slots.into())?;
    let tie_break = match part.tie_break {
        0 => TieBreak::Strict,
        1 => TieBreak::Lowest,
        _ => return Err(Refusal::Meaningless { field: "tie break" }),
    };
    let members: Result<Vec<Member>, Refusal> =
        (0..part.members).map(|_| take_member(reader)).collect();
    let members = members?;
    let slots: Result<Vec<Slot>, Refusal> = (0..part.slots).map(|_| take_slot(reader)).collect();
    Ok(View {
        cluster: ClusterId(part.cluster.get()),
        epoch: Epoch(part.epoch.get()),
        tie_break,
        members,
        slots: slots?,
        unused_home: NodeId(part.unused_home.get()),
    })
}

fn take_slot(reader: &mut Reader) -> Result<Slot, Refusal> {
    let part: &SlotPart = reader.take()?;
    Ok(Slot {
        node: NodeId(part.node.get()),
        home: NodeId(part.home.get()),
        last: Incarnation(part.last.get()),
    })
}
