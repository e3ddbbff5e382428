//! How a cluster ends: what its status is, and when machines that still run are ended.
//!
//! One system ends with the status of its first machine, where the program began; if that was
//! killed or lost, with that of another that survived. A machine that is lost (or that ends because
//! it is cut off from the others) is no end: the others find out and decide for themselves whether
//! they can go on. Separate programs end with the status of the first that failed.

use std::time::Duration;

use super::options::{Kinship, Policy};
use crate::run::{DIED, LOST};

/// How long machines may go on after one has failed: they may have something to say.
const GRACE: Duration = Duration::from_secs(2);
/// How long they may go on where they are about to find out themselves, by the silence of
/// another, or have much to write.
const LONG_GRACE: Duration = Duration::from_secs(40);

/// How a machine came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// With this status.
    Exited(u8),
    /// Without a word.
    Gone,
    /// By order.
    Killed,
    /// Because of the others.
    Stopped,
}

/// What is to be done about those that still run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Nothing.
    GoOn,
    /// They are ended after so long.
    EndIn(Duration),
}

/// Whether machines have something to write when the program has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reports {
    /// A trace.
    Wanted,
    /// Nothing.
    None,
}

/// See the module.
#[derive(Debug)]
pub struct Verdict {
    kinship: Kinship,
    policy: Policy,
    reports: Reports,
    /// The machine whose status is that of all.
    decided: Option<(u16, u8)>,
    /// The first that was lost, which decides if nobody else does.
    lost: Option<(u16, u8)>,
    /// Whether a machine has ended by itself.
    has_survivor: bool,
}

impl Verdict {
    /// None yet.
    pub fn new(kinship: Kinship, policy: Policy, reports: Reports) -> Self {
        Self {
            kinship,
            policy,
            reports,
            decided: None,
            lost: None,
            has_survivor: false,
        }
    }

    /// The machine that failed and made the others end.
    pub fn failed(&self) -> Option<u16> {
        self.decided
            .filter(|(_, status)| *status != 0)
            .map(|(node, _)| node)
    }

    /// The status of it all.
    pub fn status(&self) -> u8 {
        let nobody = match self.has_survivor {
            true => 0,
            false => DIED,
        };
        self.decided
            .or(self.lost)
            .map_or(nobody, |(_, status)| status)
    }

    /// Takes in the end of a machine.
    pub fn take(&mut self, node: u16, how: How) -> Then {
        self.has_survivor |= matches!(how, How::Exited(_));
        match (self.kinship, how) {
            (_, How::Killed | How::Stopped) => Then::GoOn,
            (Kinship::OneSystem, How::Exited(status)) if node == 0 => {
                self.decided.get_or_insert((node, status));
                Then::EndIn(match (status, self.reports) {
                    (LOST, _) | (_, Reports::Wanted) => LONG_GRACE,
                    _ => Duration::ZERO,
                })
            }
            (Kinship::OneSystem, How::Exited(LOST)) => self.lose(node, LOST),
            (Kinship::OneSystem, How::Gone) => self.lose(node, DIED),
            // The first machine has told it that the program has ended.
            (_, How::Exited(0)) => Then::GoOn,
            (_, How::Exited(status)) => self.fail(node, status),
            (Kinship::Separate, How::Gone) => self.fail(node, DIED),
        }
    }

    fn lose(&mut self, node: u16, status: u8) -> Then {
        self.lost.get_or_insert((node, status));
        Then::GoOn
    }

    fn fail(&mut self, node: u16, status: u8) -> Then {
        if self.decided.is_some() {
            return Then::GoOn;
        }
        self.decided = Some((node, status));
        match self.policy {
            Policy::EndAll => Then::EndIn(GRACE),
            Policy::KeepGoing => Then::GoOn,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{GRACE, How, LONG_GRACE, Reports, Then, Verdict};
    use crate::cluster::options::{Kinship, Policy};

    fn of(kinship: Kinship, policy: Policy, ends: &[(u16, How)]) -> (Vec<Then>, u8) {
        let mut verdict = Verdict::new(kinship, policy, Reports::None);
        let then = ends
            .iter()
            .map(|&(node, how)| verdict.take(node, how))
            .collect();
        (then, verdict.status())
    }

    fn system(ends: &[(u16, How)]) -> (Vec<Then>, u8) {
        of(Kinship::OneSystem, Policy::EndAll, ends)
    }

    #[test]
    fn one_system_ends_with_its_first_machine() {
        let (then, status) = system(&[(0, How::Exited(7)), (1, How::Stopped)]);
        assert_eq!((then[0], status), (Then::EndIn(Duration::ZERO), 7));
        let (then, status) = system(&[(1, How::Exited(101)), (0, How::Stopped)]);
        assert_eq!((then[0], status), (Then::EndIn(GRACE), 101));
        let (then, status) = system(&[(1, How::Exited(0)), (0, How::Exited(0))]);
        assert_eq!((then[0], status), (Then::GoOn, 0));
    }

    #[test]
    fn a_loss_is_for_those_to_judge_who_survive() {
        for loss in [How::Killed, How::Gone, How::Exited(75)] {
            let (then, status) = system(&[(1, loss), (0, How::Exited(0))]);
            assert_eq!((then[0], status), (Then::GoOn, 0), "{loss:?}");
            let (then, status) = system(&[(1, loss), (0, How::Exited(75))]);
            assert_eq!((then[1], status), (Then::EndIn(LONG_GRACE), 75), "{loss:?}");
        }
        let (then, status) =
            system(&[(0, How::Killed), (1, How::Exited(75)), (2, How::Exited(75))]);
        assert_eq!((then, status), (vec![Then::GoOn; 3], 75));
        assert_eq!(system(&[(0, How::Gone), (1, How::Exited(75))]).1, 70);
        assert_eq!(system(&[(0, How::Killed), (1, How::Killed)]).1, 70);
    }

    #[test]
    fn separate_programs_end_with_the_first_that_failed() {
        let ends = [(2, How::Exited(0)), (1, How::Gone), (0, How::Exited(3))];
        let (then, status) = of(Kinship::Separate, Policy::EndAll, &ends);
        assert_eq!(then, [Then::GoOn, Then::EndIn(GRACE), Then::GoOn]);
        assert_eq!(status, 70);
        let (then, status) = of(Kinship::Separate, Policy::KeepGoing, &ends);
        assert_eq!((then, status), (vec![Then::GoOn; 3], 70));
    }

    #[test]
    fn who_has_much_to_write_gets_time() {
        let mut verdict = Verdict::new(Kinship::OneSystem, Policy::EndAll, Reports::Wanted);
        assert_eq!(verdict.take(0, How::Exited(0)), Then::EndIn(LONG_GRACE));
    }
}
