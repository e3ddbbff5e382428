//! The handshake and the encryption: Noise, of the crate `snow`, with what the kernel can have.
//!
//! `NNpsk0`: both ends make a key pair for this one connection, and the cluster's key is mixed in
//! before the first message, so its authentication tag proves that the sender has the key. The
//! first message can be a recording, though: it is only with the second one that both ends
//! have put in something new. Nothing is said before that.

use alloc::boxed::Box;

use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::{CryptoResolver, DefaultResolver};
use snow::types::{Cipher, Dh, Hash, Random};
use snow::{Builder, HandshakeState, TransportState};

use crate::cipher::{self, Sealer};
use crate::key::{ClusterKey, Seed};

const PATTERN: &str = "Noise_NNpsk0_25519_ChaChaPoly_BLAKE2s";
/// What this handshake is for, so that the same key used for something else does no harm.
const PROLOGUE: &[u8] = b"darner link";

/// Bytes of both messages of the handshake: a public key and a tag.
pub const HANDSHAKE_BYTES: usize = 32 + TAG_BYTES;
/// What encryption adds to a message.
pub const TAG_BYTES: usize = 16;

/// The other end does not have the key, or bytes were changed on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAuthentic;

/// The calling end's handshake, while it waits for the answer.
pub struct Handshake(Box<HandshakeState>);

impl Handshake {
    /// Begins one: the message to be sent.
    pub fn call(key: &ClusterKey, seed: Seed) -> (Self, [u8; HANDSHAKE_BYTES]) {
        let mut state = builder(key, seed)
            .build_initiator()
            .expect("the pattern needs no more than the key");
        let message = written(&mut state);
        (Self(Box::new(state)), message)
    }

    /// Ends it with the answer.
    pub fn finish(mut self, answer: &[u8; HANDSHAKE_BYTES]) -> Result<Transport, NotAuthentic> {
        read(&mut self.0, answer)?;
        Ok(Transport::new(*self.0))
    }
}

/// The answering end's handshake, as a whole: what to answer.
pub fn answer(
    key: &ClusterKey,
    seed: Seed,
    call: &[u8; HANDSHAKE_BYTES],
) -> Result<(Transport, [u8; HANDSHAKE_BYTES]), NotAuthentic> {
    let mut state = builder(key, seed)
        .build_responder()
        .expect("the pattern needs no more than the key");
    read(&mut state, call)?;
    let message = written(&mut state);
    Ok((Transport::new(state), message))
}

fn builder(key: &ClusterKey, seed: Seed) -> Builder<'_> {
    let pattern = PATTERN.parse().expect("a pattern that snow knows");
    let resolver = Resolver {
        seed: seed.0,
        sealer: key.sealer,
    };
    Builder::with_resolver(pattern, Box::new(resolver))
        .prologue(PROLOGUE)
        .and_then(|builder| builder.psk(0, &key.bytes))
        .expect("both are given once")
}

fn written(state: &mut HandshakeState) -> [u8; HANDSHAKE_BYTES] {
    let mut message = [0; HANDSHAKE_BYTES];
    state
        .write_message(&[], &mut message)
        .expect("the seed is one key's, and the message as long as its parts");
    message
}

fn read(state: &mut HandshakeState, message: &[u8]) -> Result<(), NotAuthentic> {
    // Nothing is carried, but snow wants a place for it.
    match state.read_message(message, &mut [0; TAG_BYTES]) {
        Ok(0) => Ok(()),
        _ => Err(NotAuthentic),
    }
}

/// What encrypts and decrypts the messages of one connection, each with a number that
/// neither end says: messages left out, repeated or swapped are not authentic.
pub struct Transport {
    state: TransportState,
    id: u64,
}

impl Transport {
    fn new(handshake: HandshakeState) -> Self {
        // Both ends' new keys are in the hash, so that no two connections have the same.
        let hash = handshake.get_handshake_hash();
        let id = hash.first_chunk().map_or(0, |&id| u64::from_le_bytes(id));
        let state = handshake
            .into_transport_mode()
            .expect("both messages are done");
        Self { state, id }
    }

    /// A number that both ends know, and that no other connection has.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Encrypts into `sealed`, which is [`TAG_BYTES`] longer.
    pub fn seal(&mut self, plain: &[u8], sealed: &mut [u8]) {
        self.state
            .write_message(plain, sealed)
            .expect("envelopes are bounded, and 2^64 of them are not sent");
    }

    /// Decrypts into `plain`, which is at least as long as `sealed`. How many bytes.
    pub fn open(&mut self, sealed: &[u8], plain: &mut [u8]) -> Result<usize, NotAuthentic> {
        self.state
            .read_message(sealed, plain)
            .map_err(|_| NotAuthentic)
    }

    /// How many messages were found authentic.
    pub fn opened(&self) -> u64 {
        self.state.receiving_nonce()
    }
}

/// snow's own crypto, with a seed for what it would draw at random, and with the machine's cipher if it has one.
struct Resolver {
    seed: [u8; 32],
    sealer: Option<&'static dyn Sealer>,
}

impl CryptoResolver for Resolver {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(OneKey(Some(self.seed))))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        DefaultResolver.resolve_dh(choice)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        DefaultResolver.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        match (self.sealer, choice) {
            (Some(sealer), CipherChoice::ChaChaPoly) => Some(cipher::by(sealer)),
            _ => DefaultResolver.resolve_cipher(choice),
        }
    }
}

/// Random bytes for one private key; asked for more, it fails.
struct OneKey(Option<[u8; 32]>);

impl Random for OneKey {
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), snow::Error> {
        let bytes = self.0.take().ok_or(snow::Error::Rng)?;
        if dest.len() != bytes.len() {
            return Err(snow::Error::Rng);
        }
        dest.copy_from_slice(&bytes);
        Ok(())
    }
}
