//! What proxy ports and ports say.

use super::layout::{AnswerPart, RequestPart};
use super::{ClusterKind, begin, put_payload, put_span, take_payload, take_span};
use crate::parts::{Reader, Whole};
use crate::refusal::Refusal;
use darner_cluster::{Answer, NodeId, Packet, PortId, PortMessage};
use zerocopy::little_endian::{U16, U64};

const ALLOWANCE: u8 = 0;

pub(super) fn encode(packet: &Packet, message: &PortMessage) -> Whole {
    let begin = |kind, flags| begin(packet, kind, flags);
    let mut writer;
    match *message {
        PortMessage::Request {
            sequence,
            received,
            port,
            allowance,
            ref payload,
        } => {
            let flags = u8::from(allowance.is_some()) << ALLOWANCE;
            writer = begin(ClusterKind::Request, flags);
            writer.put(&RequestPart {
                sequence: U64::new(sequence),
                received: U64::new(received),
                port: U64::new(port.0),
            });
            put_span(&mut writer, allowance);
            put_payload(&mut writer, payload);
        }
        PortMessage::Answer {
            number,
            sequence,
            answer,
        } => {
            writer = begin(ClusterKind::Answer, 0);
            writer.put(&AnswerPart {
                number: U64::new(number),
                sequence: U64::new(sequence),
                answer: answer_number(&answer),
            });
            match answer {
                Answer::Reply(payload) => put_payload(&mut writer, &payload),
                Answer::Moved { to } => {
                    writer.put(&U16::new(to.0));
                }
                Answer::NoPort | Answer::Full | Answer::Dropped => {}
            }
        }
        PortMessage::Cancel { sequence } => {
            writer = begin(ClusterKind::Cancel, 0);
            writer.put(&U64::new(sequence));
        }
        PortMessage::Resume { received } => {
            writer = begin(ClusterKind::Resume, 0);
            writer.put(&U64::new(received));
        }
        PortMessage::Received { received } => {
            writer = begin(ClusterKind::Received, 0);
            writer.put(&U64::new(received));
        }
    }
    writer.end()
}

pub(super) fn parse(kind: ClusterKind, reader: &mut Reader) -> Result<PortMessage, Refusal> {
    Ok(match kind {
        ClusterKind::Request => {
            let part: &RequestPart = reader.take()?;
            PortMessage::Request {
                sequence: part.sequence.get(),
                received: part.received.get(),
                port: PortId(part.port.get()),
                allowance: take_span(reader, ALLOWANCE)?,
                payload: take_payload(reader)?,
            }
        }
        ClusterKind::Answer => {
            let part: &AnswerPart = reader.take()?;
            PortMessage::Answer {
                number: part.number.get(),
                sequence: part.sequence.get(),
                answer: take_answer(part.answer, reader)?,
            }
        }
        ClusterKind::Cancel => PortMessage::Cancel {
            sequence: reader.take::<U64>()?.get(),
        },
        ClusterKind::Resume => PortMessage::Resume {
            received: reader.take::<U64>()?.get(),
        },
        ClusterKind::Received => PortMessage::Received {
            received: reader.take::<U64>()?.get(),
        },
        other => return Err(Refusal::UnknownKind { found: other as u8 }),
    })
}

fn answer_number(answer: &Answer) -> u8 {
    match answer {
        Answer::Reply(_) => 0,
        Answer::Moved { .. } => 1,
        Answer::NoPort => 2,
        Answer::Full => 3,
        Answer::Dropped => 4,
    }
}

fn take_answer(number: u8, reader: &mut Reader) -> Result<Answer, Refusal> {
    match number {
        0 => Ok(Answer::Reply(take_payload(reader)?)),
        1 => Ok(Answer::Moved {
            to: NodeId(reader.take::<U16>()?.get()),
        }),
        2 => Ok(Answer::NoPort),
        3 => Ok(Answer::Full),
        4 => Ok(Answer::Dropped),
        _ => Err(Refusal::Meaningless { field: "answer" }),
    }
}
