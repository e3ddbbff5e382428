//! What a message must be like, whether it is sent or has come.

use crate::refusal::Refusal;
use darner_coherence::{
    Content, Grant, LONGEST_RUN, LONGEST_SPAN, Message, PageIndex, Purpose, Rights,
};

/// How many pages cluster memory may have: as many as four levels of page tables map.
pub const PAGES: u64 = 1 << 36;

/// Whether a message is one that nodes say.
pub(crate) fn check(message: &Message) -> Result<(), Refusal> {
    match *message {
        Message::Get { page, run, .. } => {
            check_run(run, LONGEST_RUN)?;
            check_span(page, run.into())
        }
        Message::Discard { page, run, .. } => {
            check_run(run, LONGEST_SPAN)?;
            check_span(page, run.into())
        }
        Message::Discarded { page, mask, .. } => check_span(page, span(mask)),
        Message::Grant(grant) => check_grant(grant),
        Message::WriteBack { page, content }
        | Message::Adopt { page, content, .. }
        | Message::Push { page, content, .. } => {
            check_span(page, 1)?;
            brings(content)
        }
        Message::Report { page, copy } => {
            check_span(page, 1)?;
            check_rights(copy.rights)
        }
        // The last slice has no end.
        Message::Blank { page, pages } => {
            check_span(page, 1)?;
            check_blank(pages)
        }
        // A home says that to its own node only.
        Message::Recall {
            purpose: Purpose::Push,
            ..
        } => Err(Refusal::Meaningless { field: "purpose" }),
        Message::Note { page, .. }
        | Message::Dropped { page, .. }
        | Message::Recalled { page, .. }
        | Message::Forward { page, .. }
        | Message::Invalidate { page, .. }
        | Message::Recall { page, .. }
        | Message::WrittenBack { page }
        | Message::Redirect { page, .. }
        | Message::Parked { page, .. }
        | Message::Lost { page, .. }
        | Message::Acked { page, .. }
        | Message::Adopted { page }
        | Message::Moved { page, .. }
        | Message::MovedKnown { page }
        | Message::Yours { page }
        | Message::Claim { page, .. }
        | Message::Unserved { page, .. }
        | Message::Keep { page, .. } => check_span(page, 1),
        Message::Drained | Message::ReportsEnd | Message::Resume => Ok(()),
    }
}

fn check_grant(grant: Grant) -> Result<(), Refusal> {
    if grant.mask & 1 == 0 {
        return Err(Refusal::FirstPageLeftOut);
    }
    check_span(grant.page, span(grant.mask.into()))?;
    check_rights(grant.rights)?;
    // Nobody has said that it has the pages behind the first.
    if grant.mask != 1 {
        brings(grant.content)?;
    }
    Ok(())
}

fn check_rights(rights: Rights) -> Result<(), Refusal> {
    match rights {
        Rights::None => Err(Refusal::NoRights),
        Rights::Read | Rights::Write => Ok(()),
    }
}

fn check_run(run: u8, most: u8) -> Result<(), Refusal> {
    if (1..=most).contains(&run) {
        Ok(())
    } else {
        let found = run.into();
        Err(Refusal::Run { found, most })
    }
}

fn check_blank(pages: u64) -> Result<(), Refusal> {
    match pages {
        0 => Err(Refusal::Meaningless { field: "pages" }),
        _ => Ok(()),
    }
}

/// How many pages from the first on a mask goes, at least one.
fn span(mask: u64) -> u64 {
    u64::from(64 - mask.leading_zeros()).max(1)
}

fn check_span(page: PageIndex, pages: u64) -> Result<(), Refusal> {
    match page.0.checked_add(pages) {
        Some(end) if end <= PAGES => Ok(()),
        _ => Err(Refusal::PageOutOfRange),
    }
}

fn brings(content: Content) -> Result<(), Refusal> {
    match content {
        Content::Nothing => Err(Refusal::PageMissing),
        Content::Zero | Content::Bytes => Ok(()),
    }
}
