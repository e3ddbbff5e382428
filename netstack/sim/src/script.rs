//! What threads do and what goes wrong, drawn or written down.

use crate::fault::{Fate, Fault};
use crate::op::{Habit, Op};
use crate::plan::Plan;
use crate::time::Moment;
use darner_coherence::PageIndex;
use std::collections::VecDeque;
use std::fmt;

/// What happened in an episode, so that it can happen again, or a part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// What threads did: the thread, how many nanoseconds it thought before, and what it did.
    pub ops: Vec<(u32, u64, Op)>,
    /// What went wrong, and when.
    pub faults: Vec<(Moment, Fault)>,
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (thread, thinks, op) in &self.ops {
            writeln!(f, "  thread {thread}: after {thinks} ns, {op}")?;
        }
        for (at, fault) in &self.faults {
            writeln!(f, "  at {} us: {fault}", at.0 / 1000)?;
        }
        Ok(())
    }
}

/// Where an episode takes what happens from.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    from: From,
    /// What has happened, if it is to be written down.
    record: Option<Script>,
}

#[derive(Clone, Debug)]
enum From {
    Chance {
        habits: Vec<Habit>,
        fate: Fate,
    },
    Script {
        ops: Vec<VecDeque<(u64, Op)>>,
        faults: VecDeque<(Moment, Fault)>,
    },
}

impl Source {
    /// From chance.
    pub(crate) fn chance(plan: &Plan) -> Self {
        let threads = (0..plan.nodes).flat_map(|node| (0..plan.threads).map(move |_| node));
        let habits = threads
            .zip(0..)
            .map(|(node, thread)| Habit::new(plan, thread, node));
        Self {
            from: From::Chance {
                habits: habits.collect(),
                fate: Fate::new(plan),
            },
            record: None,
        }
    }

    /// From chance, and written down.
    pub(crate) fn recorded(plan: &Plan) -> Self {
        Self {
            record: Some(Script::default()),
            ..Self::chance(plan)
        }
    }

    /// From what was written down.
    pub(crate) fn script(plan: &Plan, script: &Script) -> Self {
        let threads = usize::from(plan.nodes) * usize::from(plan.threads);
        let mut ops = vec![VecDeque::new(); threads];
        for &(thread, thinks, op) in &script.ops {
            ops[thread as usize].push_back((thinks, op));
        }
        Self {
            from: From::Script {
                ops,
                faults: script.faults.iter().copied().collect(),
            },
            record: None,
        }
    }

    /// What a thread does next, and after how many nanoseconds.
    pub(crate) fn op(&mut self, plan: &Plan, thread: u32) -> Option<(u64, Op)> {
        let next = match &mut self.from {
            From::Chance { habits, .. } => Some(habits[thread as usize].next(plan)),
            From::Script { ops, .. } => ops[thread as usize].pop_front(),
        };
        if let (Some(record), Some((thinks, op))) = (&mut self.record, next) {
            record.ops.push((thread, thinks, op));
        }
        next
    }

    /// A thread is told that a page is lost.
    pub(crate) fn mourn(&mut self, thread: u32, page: PageIndex) {
        if let From::Chance { habits, .. } = &mut self.from {
            habits[thread as usize].mourn(page);
        }
    }

    /// What goes wrong next, and when, if what is wrong now will be over at `over`.
    pub(crate) fn fault(
        &mut self,
        plan: &Plan,
        now: Moment,
        over: Moment,
    ) -> Option<(Moment, Fault)> {
        let next = match &mut self.from {
            From::Chance { fate, .. } => fate.next(now, over, plan),
            From::Script { faults, .. } => faults.pop_front(),
        };
        if let (Some(record), Some(fault)) = (&mut self.record, next) {
            record.faults.push(fault);
        }
        next
    }

    /// What was written down.
    pub(crate) fn into_record(self) -> Script {
        self.record.unwrap_or_default()
    }
}
