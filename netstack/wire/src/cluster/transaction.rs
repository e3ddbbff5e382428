//! The steps of transactions.

use super::{ClusterKind, begin, put_payload, put_span, take_payload, take_span};
use crate::parts::{Reader, Whole};
use crate::refusal::Refusal;
use darner_cluster::{AbortReason, Origin, Packet, Rest, Step, TransactionId, TransactionMessage};
use zerocopy::little_endian::U64;

/// Flags: the receiver began it; it has a parent, which the receiver began; it may take so long.
const ORIGIN: u8 = 0;
const PARENT: u8 = 1;
const PARENTS_ORIGIN: u8 = 2;
const ALLOWANCE: u8 = 3;

pub(super) fn encode(packet: &Packet, message: &TransactionMessage) -> Whole {
    let begin = |kind, flags| {
        let flags = flags | by_receiver(message.origin) << ORIGIN;
        let mut writer = begin(packet, kind, flags);
        writer.put(&U64::new(message.id.0));
        writer
    };
    let mut writer;
    match &message.step {
        Step::Create {
            parent,
            allowance,
            payload,
            rest,
        } => {
            let parents_origin = parent.map_or(0, |(_, origin)| by_receiver(origin));
            let flags = u8::from(parent.is_some()) << PARENT
                | parents_origin << PARENTS_ORIGIN
                | u8::from(allowance.is_some()) << ALLOWANCE;
            writer = begin(ClusterKind::Create, flags);
            writer.put(&u8::from(*rest == Rest::Last));
            if let Some((id, _)) = parent {
                writer.put(&U64::new(id.0));
            }
            put_span(&mut writer, *allowance);
            put_payload(&mut writer, payload);
        }
        Step::Data { payload } => {
            writer = begin(ClusterKind::Data, 0);
            put_payload(&mut writer, payload);
        }
        Step::End { payload } => {
            writer = begin(ClusterKind::End, 0);
            put_payload(&mut writer, payload);
        }
        Step::Abort { why } => {
            writer = begin(ClusterKind::Abort, 0);
            writer.put(&reason_number(*why));
        }
    }
    writer.end()
}

pub(super) fn parse(kind: ClusterKind, reader: &mut Reader) -> Result<TransactionMessage, Refusal> {
    let id = TransactionId(reader.take::<U64>()?.get());
    let origin = origin(reader.flag(ORIGIN));
    let step = match kind {
        ClusterKind::Create => create(reader)?,
        ClusterKind::Data => Step::Data {
            payload: take_payload(reader)?,
        },
        ClusterKind::End => Step::End {
            payload: take_payload(reader)?,
        },
        ClusterKind::Abort => Step::Abort {
            why: reason(*reader.take()?)?,
        },
        other => return Err(Refusal::UnknownKind { found: other as u8 }),
    };
    Ok(TransactionMessage { id, origin, step })
}

fn create(reader: &mut Reader) -> Result<Step, Refusal> {
    let rest = match reader.take::<u8>()? {
        0 => Rest::More,
        1 => Rest::Last,
        _ => return Err(Refusal::Meaningless { field: "rest" }),
    };
    let parent = match reader.flag(PARENT) {
        0 => None,
        _ => {
            let origin = origin(reader.flag(PARENTS_ORIGIN));
            Some((TransactionId(reader.take::<U64>()?.get()), origin))
        }
    };
    Ok(Step::Create {
        parent,
        allowance: take_span(reader, ALLOWANCE)?,
        payload: take_payload(reader)?,
        rest,
    })
}

fn by_receiver(origin: Origin) -> u8 {
    u8::from(origin == Origin::Receiver)
}

fn origin(by_receiver: u8) -> Origin {
    match by_receiver {
        0 => Origin::Sender,
        _ => Origin::Receiver,
    }
}

fn reason_number(why: AbortReason) -> u8 {
    match why {
        AbortReason::Wanted => 0,
        AbortReason::Deadline => 1,
        AbortReason::ParentEnded => 2,
        AbortReason::Full => 3,
        AbortReason::Acknowledged => 4,
    }
}

fn reason(number: u8) -> Result<AbortReason, Refusal> {
    match number {
        0 => Ok(AbortReason::Wanted),
        1 => Ok(AbortReason::Deadline),
        2 => Ok(AbortReason::ParentEnded),
        3 => Ok(AbortReason::Full),
        4 => Ok(AbortReason::Acknowledged),
        _ => Err(Refusal::Meaningless {
            field: "abort reason",
        }),
    }
}
