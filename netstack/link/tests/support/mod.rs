//! Two nodes and the bytes between them.
#![allow(dead_code, reason = "each test uses some of it")]

use darner_link::{
    Channel, ClusterKey, CpuFeatures, Identity, Limits, Link, Peer, Refusal, Role, Seed, Session,
};
use fastrand::Rng;

pub const KEY: [u8; 32] = [0x5a; 32];

pub fn identity(node: u16) -> Identity {
    Identity {
        node,
        incarnation: 0x1000 + u64::from(node),
        cluster_size: 3,
        cpus: 2 + node,
        image: [0x11; 32],
        features: CpuFeatures {
            xcr0: 7,
            cpuid: [0xff, 0x0f, 0],
        },
    }
}

pub const CALLS: Role = Role::Calls {
    node: 0,
    channel: Channel::Control,
};

pub fn seed(rng: &mut Rng) -> Seed {
    Seed::new(std::array::from_fn(|_| rng.u8(..)))
}

/// A node, as the kernel is one for a single peer.
pub struct End {
    pub me: Identity,
    pub key: ClusterKey,
    /// A connection of which it is not known yet who is at the other end.
    link: Option<Box<Link>>,
    pub session: Option<Session>,
    /// What has come and was not used.
    arrived: Vec<u8>,
    pub got: Vec<Vec<u8>>,
    pub times: Vec<u64>,
    pub refusal: Option<Refusal>,
    pub peer: Option<Peer>,
}

impl End {
    pub fn new(me: Identity) -> Self {
        Self {
            me,
            key: ClusterKey::new(KEY),
            link: None,
            session: None,
            arrived: Vec::new(),
            got: Vec::new(),
            times: Vec::new(),
            refusal: None,
            peer: None,
        }
    }

    /// There is a new connection.
    pub fn connect(&mut self, role: Role, seed: Seed, now: u64) {
        self.arrived.clear();
        self.refusal = None;
        self.link = Some(Box::new(Link::new(self.me, role, &self.key, seed, now)));
    }

    /// The connection is known to be gone.
    pub fn disconnect(&mut self) {
        self.link = None;
        if let Some(session) = &mut self.session {
            session.detach();
        }
    }

    pub fn send(&mut self, message: &[u8]) {
        let session = self.session.as_mut().expect("they have met");
        let (first, second) = message.split_at(message.len() / 3);
        let sent = session.send([first, second].into_iter());
        sent.expect("there is room");
    }

    /// Bytes have come.
    pub fn take(&mut self, bytes: &[u8], now: u64) {
        self.arrived.extend_from_slice(bytes);
        let arrived = std::mem::take(&mut self.arrived);
        let mut input = &arrived[..];
        if let Err(refusal) = self.read(&mut input, now) {
            self.refusal.get_or_insert(refusal);
        }
        self.arrived = input.to_vec();
    }

    fn read(&mut self, input: &mut &[u8], now: u64) -> Result<(), Refusal> {
        if let Some(link) = &mut self.link {
            let Some(peer) = link.receive(input, now)? else {
                return Ok(());
            };
            let link = self.link.take().expect("it was there");
            self.peer = Some(peer);
            let session = self
                .session
                .get_or_insert_with(|| Session::new(&peer, Limits::default()));
            assert!(session.is_with(&peer));
            session
                .attach(link, now)
                .ok()
                .expect("it is with that node");
        }
        if let Some(session) = &mut self.session {
            while let Some(message) = session.next(input)? {
                self.got.push(message.bytes.to_vec());
                self.times.push(message.time);
            }
            session.flush(now);
        }
        Ok(())
    }

    /// Bytes for the connection, at most so many.
    pub fn output(&mut self, most: usize, now: u64) -> Vec<u8> {
        if let Some(link) = &mut self.link {
            let bytes = link.output();
            let bytes = bytes[..most.min(bytes.len())].to_vec();
            link.sent(bytes.len());
            return bytes;
        }
        let Some(session) = &mut self.session else {
            return Vec::new();
        };
        session.flush(now);
        let bytes = session.output();
        let bytes = bytes[..most.min(bytes.len())].to_vec();
        session.sent(bytes.len());
        bytes
    }

    pub fn refuse(&mut self, reason: darner_link::Reason) {
        match (&mut self.link, &mut self.session) {
            (Some(link), _) => {
                link.refuse(reason);
            }
            (None, Some(session)) => session.refuse(reason),
            (None, None) => {}
        }
    }
}

/// A node that calls and one that answers, and all that was on the wire of this connection.
pub struct Pair {
    pub caller: End,
    pub answerer: End,
    pub from_caller: Vec<u8>,
    pub from_answerer: Vec<u8>,
    pub now: u64,
    pub rng: Rng,
}

impl Pair {
    pub fn new(caller: Identity, answerer: Identity) -> Self {
        Self {
            caller: End::new(caller),
            answerer: End::new(answerer),
            from_caller: Vec::new(),
            from_answerer: Vec::new(),
            now: 1_000,
            rng: Rng::with_seed(1),
        }
    }

    pub fn connect(&mut self) {
        self.from_caller.clear();
        self.from_answerer.clear();
        let seeds = [seed(&mut self.rng), seed(&mut self.rng)];
        let [called, answered] = seeds;
        self.caller.connect(CALLS, called, self.now);
        self.answerer.connect(Role::Answers, answered, self.now);
    }

    /// Lets bytes go to and fro until there are no more.
    pub fn settle(&mut self) {
        loop {
            self.now += 1;
            let called = self.caller.output(usize::MAX, self.now);
            self.answerer.take(&called, self.now);
            let answered = self.answerer.output(usize::MAX, self.now);
            self.caller.take(&answered, self.now);
            if called.is_empty() && answered.is_empty() {
                return;
            }
            self.from_caller.extend(called);
            self.from_answerer.extend(answered);
        }
    }

    pub fn are_open(&self) -> bool {
        let ends = [&self.caller, &self.answerer];
        ends.into_iter()
            .all(|end| end.session.as_ref().is_some_and(Session::is_open))
    }
}
