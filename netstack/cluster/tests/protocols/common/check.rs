//! What must be true after every step.

use super::world::World;
use std::collections::BTreeMap;

impl World {
    /// What is wrong, if anything.
    pub fn check(&self) -> Result<(), String> {
        if let Some(wrong) = &self.wrong {
            return Err(wrong.clone());
        }
        self.only_members_serve()?;
        self.told_what_is()?;
        self.lives_are_told_apart()
    }

    /// When a view is decided, whoever is not in it has stopped.
    pub fn only_members_serve(&self) -> Result<(), String> {
        for node in (0..self.plan.nodes).filter(|&node| self.serves(node)) {
            let who = self.identity(node);
            let machine = self.hosts[usize::from(node)].node.as_ref();
            let epoch = machine.map_or(0, |machine| machine.membership().epoch().0);
            let later = self.views.range(epoch..);
            for (epoch, view) in later {
                if !view.has(who) {
                    return Err(format!("node {node} serves, but is not in view {epoch}"));
                }
            }
        }
        Ok(())
    }

    /// Who serves was told so. (Who does not, may learn it when its timer goes off.)
    fn told_what_is(&self) -> Result<(), String> {
        for node in (0..self.plan.nodes).filter(|&node| self.serves(node)) {
            if !self.hosts[usize::from(node)].told_serving {
                return Err(format!("node {node} serves and was not told so"));
            }
        }
        Ok(())
    }

    /// A life that is gone never comes back, and no view has a new life where the one before it
    /// has the old one.
    pub fn lives_are_told_apart(&self) -> Result<(), String> {
        let mut last = BTreeMap::new();
        let mut before = None;
        for (epoch, view) in &self.views {
            for member in &view.members {
                let there = |view: &&darner_cluster::View| view.has(member.identity());
                let seen = last.get(&member.node).copied();
                let stays = before.as_ref().is_some_and(there);
                if !stays && seen.is_some_and(|seen| member.incarnation <= seen) {
                    return Err(format!("view {epoch}: {:?} is back", member.identity()));
                }
                let replaced = |view: &&darner_cluster::View| {
                    view.member(member.node)
                        .is_some_and(|old| old.incarnation != member.incarnation)
                };
                if before.as_ref().is_some_and(replaced) {
                    return Err(format!(
                        "view {epoch}: {:?} took over a slot",
                        member.identity()
                    ));
                }
                last.insert(member.node, member.incarnation);
            }
            before = Some(view);
        }
        Ok(())
    }

    /// What must be true when everything has healed and all time has passed: those who have not ended serve,
    /// in one view, of which they are all the members.
    pub fn is_settled(&self) -> Result<(), String> {
        let alive: Vec<u16> = self
            .running()
            .into_iter()
            .filter(|&node| self.hosts[usize::from(node)].ended.is_none())
            .collect();
        let mut epochs = Vec::new();
        for &node in &alive {
            let machine = self.hosts[usize::from(node)]
                .node
                .as_ref()
                .expect("it runs");
            let Some(view) = machine.membership().view() else {
                return Err(format!("node {node} neither joined nor ended"));
            };
            if !self.serves(node) {
                return Err(format!("node {node} neither serves nor ended"));
            }
            let members: Vec<u16> = view.members.iter().map(|member| member.node.0).collect();
            if members != alive {
                return Err(format!("node {node} sees {members:?}, and {alive:?} live"));
            }
            epochs.push(view.epoch);
        }
        epochs.dedup();
        if epochs.len() > 1 {
            return Err(format!("views {epochs:?} at the same time"));
        }
        Ok(())
    }

    /// Whether so many of the last view's members live, and know it, that they decide.
    pub fn can_go_on(&self) -> bool {
        let Some((&epoch, view)) = self.views.last_key_value() else {
            return false;
        };
        let there = |&node: &u16| {
            let host = &self.hosts[usize::from(node)];
            let machine = host.node.as_ref().expect("it runs");
            host.ended.is_none()
                && machine.membership().epoch().0 == epoch
                && view.has(self.identity(node))
        };
        let alive = self.running().into_iter().filter(there);
        view.is_quorum(alive.map(darner_cluster::NodeId).collect())
    }
}
