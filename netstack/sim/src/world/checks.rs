//! What must hold after every step.

use super::World;
use crate::machine::Machine;
use crate::network::UnderWay;
use crate::oracle::Wrong;
use darner_coherence::{Message, NodeId, PageIndex, Rights};

/// After how many steps for each page everything is looked at, not only what a step had to do with.
const ALL_EVERY: u64 = 64;

/// After how many steps it is looked whether somebody waits for what is there.
const WORDS_EVERY: u64 = 64;

impl World {
    /// Looks at what the step had to do with.
    pub(super) fn check_step(&mut self) {
        if self.views.is_settling() {
            return self.settle();
        }
        if self.counts.steps.is_multiple_of(WORDS_EVERY) {
            self.check_words();
        }
        for place in 0..self.touched.len() {
            self.check_directory(self.touched[place]);
        }
        if self
            .counts
            .steps
            .is_multiple_of(ALL_EVERY * self.plan.span())
        {
            for page in self.oracle.all() {
                self.check_directory(page);
            }
        }
    }

    /// A copy that a program may read is the last one written.
    pub(super) fn check_copy(&mut self, node: NodeId, page: PageIndex) {
        let frame = self.machine(node).frame(page);
        let allowed = frame
            .value
            .is_some_and(|value| self.oracle.allows(page, value));
        if frame.rights != Rights::None && !allowed {
            let truth = *self.oracle.page(page);
            self.complain(Wrong::StaleCopy, || {
                format!("{page:?} is {frame:?} at {node:?}, expected {truth:?}")
            });
        }
    }

    pub(super) fn complain_of_rights(&mut self, page: PageIndex) {
        let rights = |node| (node, self.machine(node).frame(page).rights);
        let holders: Vec<(NodeId, Rights)> = self.oracle.holders(page).map(rights).collect();
        self.complain(Wrong::TwoWritersOrWriterAndReader, || {
            format!("{page:?} is mapped by {holders:?}")
        });
    }

    /// The directory knows of all caches of a page.
    fn check_directory(&mut self, page: PageIndex) {
        let Some(home) = self.home_of(page) else {
            return;
        };
        let directory = self.machine(home).node.home();
        if directory.is_busy(page) {
            return;
        }
        let unknown = self
            .oracle
            .holders(page)
            .find(|&holder| !directory.may_hold(holder, page) && !self.is_to_lose(holder, page));
        if let Some(holder) = unknown {
            let rights = self.machine(holder).frame(page).rights;
            let record = directory.record(page);
            self.complain(Wrong::UnknownCopy, || {
                format!(
                    "{page:?} is mapped ({rights:?}) by {holder:?}, and its home {home:?} has {record:?}"
                )
            });
        }
    }

    /// Whether a node is told, or about to be told, to drop its copy.
    fn is_to_lose(&self, node: NodeId, page: PageIndex) -> bool {
        let told = |message: &Message| matches!(message, Message::Invalidate { page: told, .. } if *told == page);
        self.machine(node).node.agent().is_asked(page)
            || self.links.to(node).filter_map(UnderWay::message).any(told)
    }

    /// The home of a page, if it has one at this moment.
    pub(super) fn home_of(&mut self, page: PageIndex) -> Option<NodeId> {
        let owns = |world: &Self, node| {
            let machine = world.machine(node);
            machine.is_up() && machine.node.home().owns(page)
        };
        let known = self.homes[page.0 as usize];
        if owns(self, known) {
            return Some(known);
        }
        let home = (0..self.plan.nodes)
            .map(NodeId)
            .find(|&node| owns(self, node))?;
        self.homes[page.0 as usize] = home;
        Some(home)
    }

    /// A page is said to be lost only if its last copy may have died.
    pub(super) fn check_loss(&mut self, node: NodeId, page: Option<PageIndex>) {
        if let Some(page) = page.filter(|&page| !self.oracle.may_be_lost(page)) {
            let truth = *self.oracle.page(page);
            self.complain(Wrong::LostInVain, || {
                format!("{node:?} says that {page:?} is lost, which is {truth:?}")
            });
        }
    }

    /// What keeps an episode from its end.
    pub(super) fn unfinished(&self) -> String {
        let rests = |machine: &&Machine| !machine.is_up() || self.is_busy(machine);
        let nodes = self.machines.iter().filter(rests);
        let nodes: Vec<NodeId> = nodes.map(|machine| machine.node.id()).collect();
        format!(
            "it does not come to an end: of threads {:?}, between nodes {:?}, down or busy {nodes:?}, settling {}",
            self.waiting(),
            self.users.under_way(),
            self.views.is_settling()
        )
    }

    /// When nothing can happen any more, nothing waits.
    pub(super) fn check_quiet(&mut self) {
        if let Some(thread) = self.waiting() {
            self.complain(Wrong::NeverCompletes, || {
                format!("a thread waits for ever: {thread}")
            });
        }
        let busy: Vec<NodeId> = self
            .machines
            .iter()
            .filter(|machine| machine.is_up() && self.is_busy(machine))
            .map(|machine| machine.node.id())
            .collect();
        if !busy.is_empty() {
            self.complain(Wrong::NeverQuiet, || {
                format!("{busy:?} wait for something for ever")
            });
        }
        if self.views.is_settling() {
            self.complain(Wrong::NeverQuiet, || {
                "a change of view never comes to its end".into()
            });
        }
        for page in self.oracle.all() {
            self.check_directory(page);
        }
    }
}
