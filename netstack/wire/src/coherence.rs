//! The messages of the coherence protocol, as fields of a header.

use crate::fields::{Fields, Flags};
use crate::kind::Kind;
use crate::refusal::Refusal;
use darner_coherence::{
    Access, Advice, Collector, Grant, Message, Outcome, Purpose, Reported, Rights, Serial, Used,
    Written,
};

const ACCESS: Flags = Flags::one(0);
const HAS_SERIAL: Flags = Flags::one(1);
const ADVICE: Flags = Flags::one(1);
const OUTCOME: Flags = Flags::two(0);
const WRITTEN: Flags = Flags::two(2);
const PURPOSE: Flags = Flags::two(0);
const HAS_ID: Flags = Flags::one(0);
const USED: Flags = Flags::one(0);
const BACKING: Flags = Flags::one(1);
const CONTENT: Flags = Flags::two(2);

/// The kind of a message.
#[must_use]
pub fn kind_of(message: &Message) -> Kind {
    match message {
        Message::Get { .. } => Kind::Get,
        Message::Note { .. } => Kind::Note,
        Message::WriteBack { .. } => Kind::WriteBack,
        Message::Discard { .. } => Kind::Discard,
        Message::Recalled { .. } => Kind::Recalled,
        Message::Forward { .. } => Kind::Forward,
        Message::Invalidate { .. } => Kind::Invalidate,
        Message::Recall { .. } => Kind::Recall,
        Message::WrittenBack { .. } => Kind::WrittenBack,
        Message::Discarded { .. } => Kind::Discarded,
        Message::Redirect { .. } => Kind::Redirect,
        Message::Parked { .. } => Kind::Parked,
        Message::Lost { .. } => Kind::Lost,
        Message::Grant(_) => Kind::Grant,
        Message::Acked { .. } => Kind::Acked,
        Message::Adopt { .. } => Kind::Adopt,
        Message::Adopted { .. } => Kind::Adopted,
        Message::Moved { .. } => Kind::Moved,
        Message::MovedKnown { .. } => Kind::MovedKnown,
        Message::Report { .. } => Kind::Report,
        Message::Unserved { .. } => Kind::Unserved,
        Message::Drained => Kind::Drained,
        Message::ReportsEnd => Kind::ReportsEnd,
        Message::Keep { .. } => Kind::Keep,
        Message::Resume => Kind::Resume,
        Message::Yours { .. } => Kind::Yours,
        Message::Claim { .. } => Kind::Claim,
        Message::Push { .. } => Kind::Push,
        Message::Dropped { .. } => Kind::Dropped,
        Message::Blank { .. } => Kind::Blank,
    }
}

/// The fields of a message, apart from what is in all headers.
pub(crate) fn fields(message: &Message) -> Fields {
    let none = Fields::default();
    match *message {
        Message::Get {
            page,
            run,
            access,
            have,
            id,
        } => none
            .with_page(page)
            .with_count(run.into())
            .with_access(ACCESS, access)
            .with_flags(HAS_SERIAL, u8::from(have.is_some()))
            .with_serial(have.unwrap_or_default())
            .with_id(id),
        Message::Note { page, outcome } => with_outcome(none.with_page(page), outcome),
        Message::WriteBack { page, content } | Message::Recalled { page, content } => {
            none.with_page(page).with_content(CONTENT, content)
        }
        Message::Discard { page, run, id } => {
            none.with_page(page).with_count(run.into()).with_id(id)
        }
        Message::Forward {
            page,
            access,
            requester,
            id,
            serial,
            acks,
            advice,
            seen,
        } => none
            .with_page(page)
            .with_access(ACCESS, access)
            .with_node(requester)
            .with_id(id)
            .with_serial(serial)
            .with_count(acks)
            .with_flags(ADVICE, u8::from(advice == Advice::Migrate))
            .with_seen(seen),
        Message::Invalidate {
            page,
            collector,
            seen,
        } => none
            .with_page(page)
            .with_node(collector.node)
            .with_id(collector.id)
            .with_seen(seen),
        Message::Recall {
            page,
            purpose,
            seen,
        } => none
            .with_page(page)
            .with_flags(PURPOSE, purpose_bits(purpose))
            .with_id(seen),
        Message::WrittenBack { page }
        | Message::Adopted { page }
        | Message::MovedKnown { page }
        | Message::Yours { page } => none.with_page(page),
        Message::Discarded { page, mask, id } => {
            none.with_page(page).with_serial(Serial(mask)).with_id(id)
        }
        Message::Redirect {
            page,
            home,
            mask,
            id,
        } => none
            .with_page(page)
            .with_node(home)
            .with_serial(Serial(mask))
            .with_flags(HAS_ID, u8::from(id.is_some()))
            .with_id(id.unwrap_or_default()),
        Message::Parked { page, id } | Message::Lost { page, id } | Message::Acked { page, id } => {
            none.with_page(page).with_id(id)
        }
        Message::Unserved { page, asked, id } => none.with_page(page).with_node(asked).with_id(id),
        Message::Claim {
            page,
            owner,
            granted,
        } => none.with_page(page).with_node(owner).with_id(granted),
        Message::Grant(grant) => grant_fields(grant),
        Message::Adopt {
            page,
            serial,
            clock,
            content,
        } => none
            .with_page(page)
            .with_serial(serial)
            .with_clock(clock)
            .with_content(CONTENT, content),
        Message::Moved { page, to, stamp } => none.with_page(page).with_node(to).with_serial(stamp),
        Message::Report { page, copy } => none
            .with_page(page)
            .with_access(ACCESS, access(copy.rights))
            .with_backing(BACKING, copy.backing)
            .with_serial(copy.serial),
        Message::Keep { page, serial } => none.with_page(page).with_serial(serial),
        Message::Blank { page, pages } => none.with_page(page).with_serial(Serial(pages)),
        Message::Push {
            page,
            serial,
            content,
        } => none
            .with_page(page)
            .with_serial(serial)
            .with_content(CONTENT, content),
        Message::Dropped {
            page,
            serial,
            seen,
            used,
        } => none
            .with_page(page)
            .with_serial(serial)
            .with_id(seen)
            .with_flags(USED, u8::from(used == Used::Yes)),
        Message::Drained | Message::ReportsEnd | Message::Resume => none,
    }
}

fn grant_fields(grant: Grant) -> Fields {
    Fields::default()
        .with_page(grant.page)
        .with_beside(grant.mask)
        .with_id(grant.id)
        .with_access(ACCESS, access(grant.rights))
        .with_serial(grant.serial)
        .with_count(grant.acks)
        .with_backing(BACKING, grant.backing)
        .with_content(CONTENT, grant.content)
}

/// The message of a kind that has these fields, which are taken.
pub(crate) fn message(kind: Kind, fields: &mut Fields) -> Result<Message, Refusal> {
    let page = fields.take_page();
    Ok(match kind {
        Kind::Get => {
            let has_serial = fields.take_flags(HAS_SERIAL) == 1;
            Message::Get {
                page,
                run: take_run(fields, darner_coherence::LONGEST_RUN)?,
                access: fields.take_access(ACCESS),
                have: has_serial.then(|| fields.take_serial()),
                id: fields.take_id(),
            }
        }
        Kind::Note => Message::Note {
            page,
            outcome: take_outcome(fields)?,
        },
        Kind::WriteBack => Message::WriteBack {
            page,
            content: fields.take_content(CONTENT)?,
        },
        Kind::Discard => Message::Discard {
            page,
            run: take_run(fields, darner_coherence::LONGEST_SPAN)?,
            id: fields.take_id(),
        },
        Kind::Recalled => Message::Recalled {
            page,
            content: fields.take_content(CONTENT)?,
        },
        Kind::Forward => Message::Forward {
            page,
            access: fields.take_access(ACCESS),
            requester: fields.take_node(),
            id: fields.take_id(),
            serial: fields.take_serial(),
            acks: fields.take_count(),
            advice: match fields.take_flags(ADVICE) {
                0 => Advice::Share,
                _ => Advice::Migrate,
            },
            seen: fields.take_seen(),
        },
        Kind::Invalidate => Message::Invalidate {
            page,
            collector: Collector {
                node: fields.take_node(),
                id: fields.take_id(),
            },
            seen: fields.take_seen(),
        },
        Kind::Recall => Message::Recall {
            page,
            purpose: take_purpose(fields)?,
            seen: fields.take_id(),
        },
        Kind::WrittenBack => Message::WrittenBack { page },
        Kind::Discarded => Message::Discarded {
            page,
            mask: fields.take_serial().0,
            id: fields.take_id(),
        },
        Kind::Redirect => {
            let has_id = fields.take_flags(HAS_ID) == 1;
            Message::Redirect {
                page,
                home: fields.take_node(),
                mask: fields.take_serial().0,
                id: has_id.then(|| fields.take_id()),
            }
        }
        Kind::Parked => Message::Parked {
            page,
            id: fields.take_id(),
        },
        Kind::Lost => Message::Lost {
            page,
            id: fields.take_id(),
        },
        Kind::Grant => Message::Grant(Grant {
            page,
            mask: fields.take_beside(),
            id: fields.take_id(),
            rights: fields.take_access(ACCESS).needs(),
            serial: fields.take_serial(),
            acks: fields.take_count(),
            backing: fields.take_backing(BACKING),
            content: fields.take_content(CONTENT)?,
        }),
        Kind::Acked => Message::Acked {
            page,
            id: fields.take_id(),
        },
        Kind::Adopt => Message::Adopt {
            page,
            serial: fields.take_serial(),
            clock: fields.take_clock(),
            content: fields.take_content(CONTENT)?,
        },
        Kind::Adopted => Message::Adopted { page },
        Kind::Moved => Message::Moved {
            page,
            to: fields.take_node(),
            stamp: fields.take_serial(),
        },
        Kind::MovedKnown => Message::MovedKnown { page },
        Kind::Report => Message::Report {
            page,
            copy: Reported {
                rights: fields.take_access(ACCESS).needs(),
                serial: fields.take_serial(),
                backing: fields.take_backing(BACKING),
            },
        },
        Kind::Unserved => Message::Unserved {
            page,
            asked: fields.take_node(),
            id: fields.take_id(),
        },
        Kind::Drained => Message::Drained,
        Kind::ReportsEnd => Message::ReportsEnd,
        Kind::Keep => Message::Keep {
            page,
            serial: fields.take_serial(),
        },
        Kind::Resume => Message::Resume,
        Kind::Yours => Message::Yours { page },
        Kind::Claim => Message::Claim {
            page,
            owner: fields.take_node(),
            granted: fields.take_id(),
        },
        Kind::Push => Message::Push {
            page,
            serial: fields.take_serial(),
            content: fields.take_content(CONTENT)?,
        },
        Kind::Blank => Message::Blank {
            page,
            pages: fields.take_serial().0,
        },
        Kind::Dropped => Message::Dropped {
            page,
            serial: fields.take_serial(),
            seen: fields.take_id(),
            used: match fields.take_flags(USED) {
                0 => Used::No,
                _ => Used::Yes,
            },
        },
    })
}

/// What access rights let happen, one bit of a header.
fn access(rights: Rights) -> Access {
    match rights {
        Rights::None | Rights::Read => Access::Read,
        Rights::Write => Access::Write,
    }
}

fn take_run(fields: &mut Fields, most: u8) -> Result<u8, Refusal> {
    let found = fields.take_count();
    u8::try_from(found).map_err(|_| Refusal::Run { found, most })
}

/// A push is no message: see `rules.rs`.
fn purpose_bits(purpose: Purpose) -> u8 {
    match purpose {
        Purpose::Return | Purpose::Push => 0,
        Purpose::Drop => 1,
        Purpose::Share => 2,
    }
}

fn take_purpose(fields: &mut Fields) -> Result<Purpose, Refusal> {
    match fields.take_flags(PURPOSE) {
        0 => Ok(Purpose::Return),
        1 => Ok(Purpose::Drop),
        2 => Ok(Purpose::Share),
        _ => Err(Refusal::Meaningless { field: "purpose" }),
    }
}

fn with_outcome(fields: Fields, outcome: Outcome) -> Fields {
    let (outcome, written) = match outcome {
        Outcome::Shared { written } => (0, written),
        Outcome::Gave { written } => (1, written),
        Outcome::NotHeld => (2, Written::Never),
    };
    let written = match written {
        Written::Never => 0,
        Written::Before => 1,
        Written::Here => 2,
    };
    fields
        .with_flags(OUTCOME, outcome)
        .with_flags(WRITTEN, written)
}

fn take_outcome(fields: &mut Fields) -> Result<Outcome, Refusal> {
    match fields.take_flags(OUTCOME) {
        0 => Ok(Outcome::Shared {
            written: take_written(fields)?,
        }),
        1 => Ok(Outcome::Gave {
            written: take_written(fields)?,
        }),
        2 => Ok(Outcome::NotHeld),
        _ => Err(Refusal::Meaningless { field: "outcome" }),
    }
}

fn take_written(fields: &mut Fields) -> Result<Written, Refusal> {
    match fields.take_flags(WRITTEN) {
        0 => Ok(Written::Never),
        1 => Ok(Written::Before),
        2 => Ok(Written::Here),
        _ => Err(Refusal::Meaningless { field: "written" }),
    }
}
