//! What encrypts: the machine's own way of it, if it has a better one than portable code.

use alloc::boxed::Box;

use snow::types::Cipher;

use crate::noise::TAG_BYTES;

/// ChaCha20-Poly1305 (RFC 8439), done in place. Any context.
pub trait Sealer: Send + Sync {
    /// Encrypts `data`; returns its tag.
    fn seal(
        &self,
        key: &[u8; 32],
        nonce: [u8; 12],
        associated: &[u8],
        data: &mut [u8],
    ) -> [u8; TAG_BYTES];

    /// Decrypts `data` if it is authentic; returns whether it is.
    fn open(
        &self,
        key: &[u8; 32],
        nonce: [u8; 12],
        associated: &[u8],
        data: &mut [u8],
        tag: [u8; TAG_BYTES],
    ) -> bool;
}

/// A cipher for snow.
pub fn by(sealer: &'static dyn Sealer) -> Box<dyn Cipher> {
    Box::new(Sealed {
        sealer,
        key: [0; 32],
    })
}

struct Sealed {
    sealer: &'static dyn Sealer,
    key: [u8; 32],
}

/// The nonce of a message's number (the Noise protocol framework, section 12.2).
fn nonce(number: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&number.to_le_bytes());
    nonce
}

impl Cipher for Sealed {
    fn name(&self) -> &'static str {
        "ChaChaPoly"
    }

    fn set(&mut self, key: &[u8; 32]) {
        self.key = *key;
    }

    fn encrypt(&self, number: u64, associated: &[u8], plain: &[u8], out: &mut [u8]) -> usize {
        let (data, rest) = out.split_at_mut(plain.len());
        data.copy_from_slice(plain);
        let tag = self.sealer.seal(&self.key, nonce(number), associated, data);
        rest[..TAG_BYTES].copy_from_slice(&tag);
        plain.len() + TAG_BYTES
    }

    fn decrypt(
        &self,
        number: u64,
        associated: &[u8],
        sealed: &[u8],
        out: &mut [u8],
    ) -> Result<usize, snow::Error> {
        let (data, tag) = sealed.split_last_chunk().ok_or(snow::Error::Decrypt)?;
        let out = &mut out[..data.len()];
        out.copy_from_slice(data);
        let (nonce, key) = (nonce(number), &self.key);
        match self.sealer.open(key, nonce, associated, out, *tag) {
            true => Ok(data.len()),
            false => Err(snow::Error::Decrypt),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use snow::params::CipherChoice;
    use snow::resolvers::{CryptoResolver, DefaultResolver};

    use super::{Sealer, by};

    /// Not secret at all; the tag has all that went into it.
    struct Plain;

    impl Sealer for Plain {
        fn seal(&self, key: &[u8; 32], nonce: [u8; 12], aad: &[u8], data: &mut [u8]) -> [u8; 16] {
            let mut tag = [0; 16];
            tag[..12].copy_from_slice(&nonce);
            let sum = |bytes: &[u8]| bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
            (tag[12], tag[13], tag[14]) = (sum(key), sum(aad), sum(data));
            data.iter_mut().for_each(|byte| *byte ^= key[0]);
            tag
        }

        fn open(
            &self,
            key: &[u8; 32],
            nonce: [u8; 12],
            aad: &[u8],
            data: &mut [u8],
            tag: [u8; 16],
        ) -> bool {
            data.iter_mut().for_each(|byte| *byte ^= key[0]);
            let mut again = data.to_vec();
            self.seal(key, nonce, aad, &mut again) == tag
        }
    }

    #[test]
    fn messages_are_laid_out_as_by_snows_own_cipher() {
        let own = DefaultResolver.resolve_cipher(&CipherChoice::ChaChaPoly);
        let mut own = own.expect("snow has it");
        let mut ours = by(&Plain);
        let (mut theirs, mut sealed) = (vec![0; 40], vec![0; 40]);
        own.set(&[9; 32]);
        ours.set(&[9; 32]);
        assert_eq!(own.name(), ours.name());
        let lengths = (
            own.encrypt(7, b"head", &[1; 20], &mut theirs),
            ours.encrypt(7, b"head", &[1; 20], &mut sealed),
        );
        assert_eq!(lengths, (36, 36));
        assert_eq!(sealed[20..32], [0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0]);
        let mut opened = vec![0; 20];
        assert_eq!(ours.decrypt(7, b"head", &sealed[..36], &mut opened), Ok(20));
        assert_eq!(opened, [1; 20]);
    }

    #[test]
    fn what_is_not_authentic_is_an_error() {
        let mut cipher = by(&Plain);
        cipher.set(&[9; 32]);
        let (mut sealed, mut opened) = ([0; 36], [0; 36]);
        cipher.encrypt(7, &[], &[1; 20], &mut sealed);
        assert!(cipher.decrypt(8, &[], &sealed, &mut opened).is_err());
        assert!(cipher.decrypt(7, &[], &sealed[..15], &mut opened).is_err());
        sealed[3] ^= 1;
        assert!(cipher.decrypt(7, &[], &sealed, &mut opened).is_err());
    }
}
