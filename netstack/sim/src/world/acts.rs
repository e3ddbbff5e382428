//! What nodes are told, and what is done for them.

use super::{Happening, World};
use crate::network::{Load, UnderWay};
use crate::oracle::Wrong;
use crate::time::MICROSECOND;
use darner_coherence::{
    Action, Dirt, Event, Message, NodeId, Packet, PageIndex, Rights, Token, Violation,
};

impl World {
    /// Has something happen at a node, and everything done that it wants done.
    pub(super) fn handle(&mut self, node: NodeId, event: Event, load: &Load) {
        if !self.machine(node).is_up() {
            return;
        }
        let told_of_loss = matches!(&event, Event::Received { packet, .. } if matches!(packet.message, Message::Lost { .. }));
        self.touched.extend(page_of(&event));
        let now = self.now;
        let machine = self.machine_mut(node);
        let time = machine.clock.read(now);
        let mut actions = std::mem::take(&mut self.scratch);
        self.machine_mut(node)
            .node
            .handle(time, event, &mut actions);
        for action in actions.drain(..) {
            self.act(node, action, load, told_of_loss);
        }
        self.scratch = actions;
        while let Some((page, rights)) = self.at_once.pop_front() {
            self.protected(node, page, rights);
        }
    }

    fn act(&mut self, node: NodeId, action: Action, load: &Load, told_of_loss: bool) {
        self.remember_more(|| format!("{action:?}"));
        match action {
            Action::Send { to, packet } => self.send(node, to, packet),
            Action::Hint { to, packet } => self.hint(node, to, packet),
            Action::Store { page } => self.store(node, page, load),
            Action::Zero { page } | Action::Free { page } => self.free(node, page),
            Action::Map { page, rights } => self.map(node, page, rights),
            Action::Protect { page, rights } => self.protect(node, page, rights),
            Action::Wake { token, result } => {
                if result.is_err() && !told_of_loss {
                    self.check_loss(node, self.wanted(token));
                }
                self.woken(token, result);
            }
            Action::SetTimer { page, at } => {
                let in_time = self.machine(node).clock.until(self.now, at);
                let what = Happening::TimeOver {
                    at: self.place(node),
                    page: page.0 as u32,
                };
                self.put(self.now.after(in_time), what);
            }
            Action::Refused { from, why } => self.refused(node, from, why),
            Action::NotMoved { .. } => {}
        }
    }

    fn send(&mut self, from: NodeId, to: NodeId, mut packet: Packet) {
        if let Message::Lost { page, .. } = packet.message {
            self.check_loss(from, Some(page));
        }
        let machine = self.machine(from);
        let has_frame = |page| machine.frame(page).value.is_some();
        let zero = !packet.message.carried().any(has_frame);
        let bytes = |page| (page, machine.frame(page).value.unwrap_or(0));
        let load = Load::of(packet.message.carried().map(bytes));
        if zero {
            packet.message = packet.message.of_zeros();
        }
        self.counts.messages += 1;
        self.counts.pages += u64::from(packet.message.pages());
        if !self.reaches(from, to, packet.epoch) {
            return self.sent_in_vain(&packet.message);
        }
        self.put_under_way(from, to, UnderWay::Pages { packet, load });
    }

    /// Sends what is not about pages, if there is somebody to hear it.
    pub(super) fn post(&mut self, from: NodeId, to: NodeId, under_way: UnderWay) {
        self.counts.messages += 1;
        if self.reaches(from, to, under_way.epoch()) {
            self.put_under_way(from, to, under_way);
        }
    }

    fn put_under_way(&mut self, from: NodeId, to: NodeId, under_way: UnderWay) {
        let arrival = self.links.send(self.now, &self.plan, (from, to), under_way);
        self.put_arrival(arrival);
    }

    /// A hint comes by whatever way: late, before what was said earlier, or never.
    fn hint(&mut self, from: NodeId, to: NodeId, packet: Packet) {
        self.counts.messages += 1;
        let chance = &mut self.machines[usize::from(from.0)].chance;
        if chance.percent(10) {
            return;
        }
        let takes = 3 * self.plan.network.delay(chance);
        let hint = self.order;
        self.hints.insert(hint, (from, packet));
        self.put(self.now.after(takes), Happening::Hinted { to, hint });
    }

    fn store(&mut self, node: NodeId, page: PageIndex, load: &Load) {
        let Some(value) = load.get(page) else {
            return self.complain(Wrong::BytesDidNotCome, || {
                format!("{node:?} stores {page:?}, whose bytes did not come")
            });
        };
        self.machine_mut(node).frame_mut(page).value = Some(value);
        self.check_copy(node, page);
    }

    fn free(&mut self, node: NodeId, page: PageIndex) {
        let frame = self.machine_mut(node).frame_mut(page);
        frame.value = None;
        let rights = frame.rights;
        if rights != Rights::None {
            self.complain(Wrong::FreedInUse, || {
                format!("{node:?} gives up the frame of {page:?}, which is mapped ({rights:?})")
            });
        }
    }

    fn map(&mut self, node: NodeId, page: PageIndex, rights: Rights) {
        let frame = self.machine_mut(node).frame_mut(page);
        frame.value.get_or_insert(0);
        frame.dirty = false;
        let before = std::mem::replace(&mut frame.rights, rights);
        self.rights_changed(node, page, before, rights);
        self.check_copy(node, page);
        self.touched.push(page);
    }

    fn protect(&mut self, node: NodeId, page: PageIndex, rights: Rights) {
        if self.plan.shootdown == 0 {
            return self.at_once.push_back((page, rights));
        }
        let most = self.plan.shootdown;
        let takes = self.machine_mut(node).chance.within(0..most);
        let what = Happening::Protected {
            at: self.place(node),
            page: page.0 as u32,
            rights,
        };
        self.put(self.now.after(takes), what);
    }

    /// The CPUs of a node have given up rights; whether the page was written.
    pub(super) fn give_up_rights(&mut self, node: NodeId, page: PageIndex, rights: Rights) -> Dirt {
        let frame = self.machine_mut(node).frame_mut(page);
        let before = std::mem::replace(&mut frame.rights, rights);
        let dirty = std::mem::take(&mut frame.dirty);
        self.rights_changed(node, page, before, rights);
        if dirty { Dirt::Dirty } else { Dirt::Clean }
    }

    fn rights_changed(&mut self, node: NodeId, page: PageIndex, before: Rights, after: Rights) {
        if !self.oracle.rights_change(page, node, before, after) {
            self.complain_of_rights(page);
        }
    }

    pub(super) fn refused(&mut self, node: NodeId, from: NodeId, why: Violation) {
        // The last words of a node that died, heard after the view that tells so.
        if why == Violation::Stranger && !self.views.latest.members.contains(&from) {
            return;
        }
        self.complain(Wrong::Refused, || {
            format!("{node:?} refused what {from:?} said: {why:?}")
        });
    }

    /// What a thread waits for, if it is one page.
    fn wanted(&self, token: Token) -> Option<PageIndex> {
        self.thread_of(token)
            .and_then(|thread| self.threads[thread].wants)
    }
}

/// The page that an event is about, if it is about one.
fn page_of(event: &Event) -> Option<PageIndex> {
    match event {
        Event::Fault { page, .. }
        | Event::Protected { page, .. }
        | Event::TimeOver { page }
        | Event::Evict { page } => Some(*page),
        Event::Received { packet, .. } => match packet.message {
            Message::Get { page, .. }
            | Message::Note { page, .. }
            | Message::WriteBack { page, .. }
            | Message::Recalled { page, .. }
            | Message::Discard { page, .. } => Some(page),
            _ => None,
        },
        _ => None,
    }
}

/// How long a woken thread takes until it executes: less than any hold.
pub(super) const SOON: std::ops::Range<u64> = 200..2 * MICROSECOND;
