//! Locks and barriers by message.
//!
//! A barrier is 2(n − 1) messages: all arrive at node 0, which lets all go on. A lock is a token that stays where it
//! was last used: its manager knows who asked for it last and sends whoever asks now there, so
//! handing it on takes 2 or 3 messages, and taking it again none.

use std::collections::BTreeMap;

/// What nodes say about locks and barriers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// To node 0: the sender is at the barrier.
    Arrive,
    /// From node 0: all are.
    Leave,
    /// To a lock's manager.
    Acquire { lock: usize },
    /// To whom asked last: pass the lock on to this node.
    PassTo { lock: usize, node: usize },
    /// The lock.
    Token { lock: usize },
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Do {
    /// Say this.
    Say { from: usize, to: usize, word: Word },
    /// Let this node's program go on.
    Wake { node: usize },
}

/// A lock at a node.
#[derive(Clone, Copy, Debug, Default)]
struct Token {
    here: bool,
    held: bool,
    next: Option<usize>,
}

/// All nodes' locks, and the barrier.
#[derive(Debug)]
pub(crate) struct Sync {
    nodes: usize,
    arrived: usize,
    tokens: BTreeMap<(usize, usize), Token>,
    /// Who asked last for a lock.
    tails: BTreeMap<usize, usize>,
}

impl Sync {
    pub(crate) fn new(nodes: usize) -> Self {
        Self {
            nodes,
            arrived: 0,
            tokens: BTreeMap::new(),
            tails: BTreeMap::new(),
        }
    }

    /// Whether a node's lock is here already; else it is asked for.
    pub(crate) fn lock(&mut self, node: usize, lock: usize, todo: &mut Vec<Do>) -> bool {
        let token = self.tokens.entry((node, lock)).or_default();
        if token.here && token.next.is_none() {
            token.held = true;
            return true;
        }
        let (from, to) = (node, lock % self.nodes);
        self.say(from, to, Word::Acquire { lock }, todo);
        false
    }

    pub(crate) fn unlock(&mut self, node: usize, lock: usize, todo: &mut Vec<Do>) {
        self.tokens.entry((node, lock)).or_default().held = false;
        self.pass(node, lock, todo);
    }

    pub(crate) fn barrier(&mut self, node: usize, todo: &mut Vec<Do>) {
        self.say(node, 0, Word::Arrive, todo);
    }

    /// Something was said to a node.
    pub(crate) fn hear(&mut self, from: usize, to: usize, word: Word, todo: &mut Vec<Do>) {
        match word {
            Word::Arrive => self.arrived(todo),
            Word::Leave => todo.push(Do::Wake { node: to }),
            Word::Acquire { lock } => match self.tails.insert(lock, from) {
                None => self.say(to, from, Word::Token { lock }, todo),
                Some(tail) => self.say(to, tail, Word::PassTo { lock, node: from }, todo),
            },
            Word::PassTo { lock, node } => {
                self.tokens.entry((to, lock)).or_default().next = Some(node);
                self.pass(to, lock, todo);
            }
            Word::Token { lock } => {
                let token = self.tokens.entry((to, lock)).or_default();
                (token.here, token.held) = (true, true);
                todo.push(Do::Wake { node: to });
            }
        }
    }

    /// Passes a lock on if it is here, free, and wanted.
    fn pass(&mut self, node: usize, lock: usize, todo: &mut Vec<Do>) {
        let token = self.tokens.entry((node, lock)).or_default();
        if let (true, false, Some(next)) = (token.here, token.held, token.next) {
            *token = Token::default();
            self.say(node, next, Word::Token { lock }, todo);
        }
    }

    fn arrived(&mut self, todo: &mut Vec<Do>) {
        self.arrived += 1;
        if self.arrived == self.nodes {
            self.arrived = 0;
            for node in 0..self.nodes {
                self.say(0, node, Word::Leave, todo);
            }
        }
    }

    /// Says something, at once if it is to the node itself.
    fn say(&mut self, from: usize, to: usize, word: Word, todo: &mut Vec<Do>) {
        if from == to {
            self.hear(from, to, word, todo);
        } else {
            todo.push(Do::Say { from, to, word });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Do, Sync};
    use std::collections::VecDeque;

    /// Does all that is to be done; how many messages, and who was woken.
    fn settle(sync: &mut Sync, mut todo: Vec<Do>) -> (usize, Vec<usize>) {
        let mut queue: VecDeque<Do> = todo.drain(..).collect();
        let (mut messages, mut woken) = (0, Vec::new());
        while let Some(next) = queue.pop_front() {
            match next {
                Do::Say { from, to, word } => {
                    messages += 1;
                    sync.hear(from, to, word, &mut todo);
                    queue.extend(todo.drain(..));
                }
                Do::Wake { node } => woken.push(node),
            }
        }
        (messages, woken)
    }

    #[test]
    fn a_barrier_is_two_messages_for_each_other_node() {
        let mut sync = Sync::new(8);
        let mut todo = Vec::new();
        for node in 0..8 {
            sync.barrier(node, &mut todo);
        }
        let (messages, mut woken) = settle(&mut sync, todo);
        woken.sort_unstable();
        assert_eq!((messages, woken), (14, (0..8).collect()));
    }

    #[test]
    fn a_lock_is_handed_on_by_three_messages_at_most() {
        let mut sync = Sync::new(4);
        let cost = |sync: &mut Sync, node: usize| {
            let mut todo = Vec::new();
            let here = sync.lock(node, 0, &mut todo);
            let (messages, woken) = settle(sync, todo);
            assert!(here || woken == [node]);
            let mut todo = Vec::new();
            sync.unlock(node, 0, &mut todo);
            assert!(todo.is_empty(), "nobody waits");
            messages
        };
        let costs = [1, 1, 2, 0, 3].map(|node| cost(&mut sync, node));
        assert_eq!(costs, [2, 0, 3, 2, 2]);
    }

    #[test]
    fn who_waits_gets_the_lock_when_it_is_free() {
        let mut sync = Sync::new(3);
        let mut todo = Vec::new();
        sync.lock(1, 0, &mut todo);
        assert_eq!(settle(&mut sync, todo).1, [1]);
        let mut todo = Vec::new();
        sync.lock(2, 0, &mut todo);
        assert!(settle(&mut sync, todo).1.is_empty());
        let mut todo = Vec::new();
        sync.unlock(1, 0, &mut todo);
        assert_eq!(settle(&mut sync, todo), (1, vec![2]));
    }
}
