//! What must hold after every step.

use super::{Expected, Machine, World};
use darner_coherence::{Message, NodeId, PageIndex, Rights, State};
use std::collections::BTreeSet;

impl World {
    fn touched(&self) -> BTreeSet<PageIndex> {
        self.machines
            .iter()
            .flat_map(|machine| machine.rights.keys().copied())
            .collect()
    }

    fn mapped(&self, page: PageIndex) -> impl Iterator<Item = (NodeId, &Machine, Rights)> {
        let machines = self
            .machines
            .iter()
            .zip(0..)
            .map(|(machine, node)| (NodeId(node), machine));
        machines
            .map(move |(node, machine)| {
                (
                    node,
                    machine,
                    machine.rights.get(&page).copied().unwrap_or_default(),
                )
            })
            .filter(|&(_, _, rights)| rights != Rights::None)
    }

    /// One writer or many readers.
    pub fn one_writer_or_many_readers(&self) -> Result<(), String> {
        for page in self.touched() {
            let holders: Vec<(NodeId, Rights)> = self
                .mapped(page)
                .map(|(node, _, rights)| (node, rights))
                .collect();
            if holders.len() > 1 && holders.iter().any(|&(_, rights)| rights == Rights::Write) {
                return Err(format!("{page:?} is mapped by {holders:?}"));
            }
        }
        Ok(())
    }

    /// A read returns the last write.
    pub fn copies_are_current(&self) -> Result<(), String> {
        for page in self.touched() {
            let Expected::Known(expected) = self.expect(page) else {
                continue;
            };
            if self.discarding.contains_key(&page) {
                continue;
            }
            for (node, machine, rights) in self.mapped(page) {
                let frame = machine.frames.get(&page);
                if frame != Some(&expected) {
                    return Err(format!(
                        "{page:?} holds {frame:?} at {node:?} ({rights:?}), last written was {expected}"
                    ));
                }
            }
        }
        Ok(())
    }

    /// The directory knows of all caches.
    ///
    /// While a view changes, directories are being rebuilt.
    pub fn directory_covers_caches(&self) -> Result<(), String> {
        let rebuilds = |node: &darner_coherence::Node| {
            !self.dead(node.id()) && !node.home().is_quiet_about_views()
        };
        if !self.untold.is_empty() || self.nodes.iter().any(rebuilds) {
            return Ok(());
        }
        for page in self.touched() {
            let homes: Vec<&darner_coherence::Node> = self
                .nodes
                .iter()
                .filter(|node| !self.dead(node.id()) && node.home().owns(page))
                .collect();
            if homes.iter().any(|node| node.home().is_busy(page)) || homes.is_empty() {
                continue;
            }
            for (node, _, rights) in self.mapped(page) {
                let known = homes.iter().any(|home| home.home().may_hold(node, page));
                if !known && !self.is_to_lose(node, page) {
                    let records: Vec<_> =
                        homes.iter().map(|home| home.home().record(page)).collect();
                    return Err(format!(
                        "{page:?} is mapped ({rights:?}) by {node:?}, and its home has {records:?}"
                    ));
                }
            }
        }
        Ok(())
    }

    /// A page is lost only if nobody who lives had it when the view changed.
    ///
    /// What is lost is busy only while it is discarded: its holder has dropped it, others have not yet.
    pub fn what_lives_is_kept(&self) -> Result<(), String> {
        for vouch in &self.vouched {
            let loses = |node: &&darner_coherence::Node| {
                !self.dead(node.id())
                    && node.epoch() == vouch.epoch
                    && node.home().is_quiet_about_views()
                    && node.home().owns(vouch.page)
                    && !node.home().is_busy(vouch.page)
                    && node.home().record(vouch.page).state == State::Lost
            };
            if let Some(home) = self.nodes.iter().find(loses) {
                return Err(format!(
                    "{:?} takes for lost what lives: {vouch:?}",
                    home.id()
                ));
            }
        }
        Ok(())
    }

    /// Whether a node is told, or about to be told, to drop its copy.
    fn is_to_lose(&self, node: NodeId, page: PageIndex) -> bool {
        let told = |came: &super::InFlight| matches!(came.packet.message, Message::Invalidate { page: told, .. } if told == page);
        let links = self.links.iter().filter(|&(&(_, to), _)| to == node);
        links.flat_map(|(_, link)| link).any(told)
            || self.nodes[usize::from(node.0)].agent().is_asked(page)
    }

    /// Notes the first thing that is wrong.
    pub fn check(&mut self) {
        let checks = [
            self.one_writer_or_many_readers(),
            self.copies_are_current(),
            self.directory_covers_caches(),
            self.what_lives_is_kept(),
        ];
        for what in checks.into_iter().filter_map(Result::err) {
            self.complain(what);
        }
        if let Some(&(node, from, why)) = self.refused.first() {
            self.complain(format!("{node:?} refused what {from:?} said: {why:?}"));
        }
    }

    /// What is wrong when nothing can happen any more.
    pub fn check_end(&mut self) {
        if let Some(thread) = self
            .threads
            .iter()
            .find(|thread| thread.at != super::threads::At::Done)
        {
            let what = format!("a thread waits for ever: {thread:?}");
            self.complain(what);
        }
        let busy: Vec<NodeId> = self
            .nodes
            .iter()
            .filter(|node| !self.dead(node.id()) && !node.is_quiet())
            .map(|node| node.id())
            .collect();
        if !busy.is_empty() {
            self.complain(format!("{busy:?} wait for something for ever"));
        }
    }
}
