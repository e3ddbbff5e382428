//! What is said of links that are refused: for a person, and so not again and again.

use alloc::collections::VecDeque;
use core::mem::{Discriminant, discriminant};
use core::net::IpAddr;

use darner_link::{Reason, Refusal};

/// What was said is not said again for so long, in ns.
const PAUSE: u64 = 30_000_000_000;
/// So much is remembered, and so much said in that time at most: more addresses than that are
/// somebody's who makes them up.
const MOST: usize = 32;

/// What was said of late.
#[derive(Default)]
pub struct Journal {
    said: VecDeque<Line>,
    /// Refusals that were not told of.
    unsaid: u64,
}

struct Line {
    of: IpAddr,
    reason: Discriminant<Reason>,
    at: u64,
}

impl Journal {
    /// A link with a machine is refused.
    pub fn refused(&mut self, of: IpAddr, refusal: &Refusal, now: u64) {
        while let Some(line) = self.said.front()
            && now.saturating_sub(line.at) >= PAUSE
        {
            self.said.pop_front();
        }
        let reason = discriminant(refusal.reason());
        let mut said = self.said.iter();
        let is_said = said.any(|line| line.of == of && line.reason == reason);
        if is_said || self.said.len() >= MOST {
            self.unsaid += 1;
            return;
        }
        let at = now;
        self.said.push_back(Line { of, reason, at });
        match core::mem::take(&mut self.unsaid) {
            0 => log::warn!("link with {of}: {refusal}"),
            unsaid => log::warn!("link with {of}: {refusal} ({unsaid} more refusals before this)"),
        }
    }
}
