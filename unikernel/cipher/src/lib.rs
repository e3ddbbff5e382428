//! ChaCha20-Poly1305 (RFC 8439) for the links between nodes, as the crate `chacha20poly1305` has it.
//!
//! The kernel's own code is compiled without vector registers, and this cipher takes several times as many
//! instructions then. So this crate is compiled twice: for the kernel's target, which has from it what a
//! [`Task`] is; and as a static library for the program's target, where the cipher finds out what the processor has.
//! `cargo xtask build` links that into the kernel, which calls it by two C functions (feature `export`) and
//! keeps the program's vector registers meanwhile.

#![cfg_attr(not(test), no_std)]

#[cfg(feature = "export")]
mod export;

use chacha20poly1305::{AeadInPlace, ChaCha20Poly1305, KeyInit};

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;
/// Bytes of a nonce.
pub const NONCE_BYTES: usize = 12;
/// Bytes of the tag that proves that a message is authentic.
pub const TAG_BYTES: usize = 16;

/// One message to be encrypted or decrypted, in place.
///
/// Both compilations are by one compiler, and have the same idea of a slice.
#[repr(C)]
pub struct Task<'a> {
    /// The key.
    pub key: &'a [u8; KEY_BYTES],
    /// A number that was not used with this key before.
    pub nonce: [u8; NONCE_BYTES],
    /// What is authenticated along with the message.
    pub associated: &'a [u8],
    /// The message.
    pub data: &'a mut [u8],
    /// Its tag: made by [`Self::seal`], compared by [`Self::open`].
    pub tag: [u8; TAG_BYTES],
    /// Whether it was done. Else `data` is as it was.
    pub is_done: bool,
}

impl Task<'_> {
    /// Encrypts. Not done if the message is longer than the cipher allows, 256 GiB.
    pub fn seal(&mut self) {
        let cipher = ChaCha20Poly1305::new(self.key.into());
        let nonce = (&self.nonce).into();
        let sealed = cipher.encrypt_in_place_detached(nonce, self.associated, self.data);
        self.is_done = sealed.is_ok();
        if let Ok(tag) = sealed {
            self.tag = tag.into();
        }
    }

    /// Decrypts. Not done if the message, what belongs to it, or the tag is not what was encrypted with that
    /// key and nonce.
    pub fn open(&mut self) {
        let cipher = ChaCha20Poly1305::new(self.key.into());
        let nonce = (&self.nonce).into();
        let tag = (&self.tag).into();
        let opened = cipher.decrypt_in_place_detached(nonce, self.associated, self.data, tag);
        self.is_done = opened.is_ok();
    }
}

#[cfg(test)]
mod tests {
    use super::Task;

    /// RFC 8439, section 2.8.2.
    #[test]
    fn it_is_the_cipher_of_the_standard() {
        let key = core::array::from_fn(|index| 0x80 + index as u8);
        let nonce = [7, 0, 0, 0, 0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47];
        let associated = [
            0x50, 0x51, 0x52, 0x53, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7,
        ];
        let plain = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, \
            sunscreen would be it.";
        let mut data = *plain;
        let mut task = Task {
            key: &key,
            nonce,
            associated: &associated,
            data: &mut data,
            tag: [0; 16],
            is_done: false,
        };
        task.seal();
        assert!(task.is_done);
        assert_eq!(
            task.tag,
            [
                0x1a, 0xe1, 0x0b, 0x59, 0x4f, 0x09, 0xe2, 0x6a, 0x7e, 0x90, 0x2e, 0xcb, 0xd0, 0x60,
                0x06, 0x91
            ]
        );
        assert_eq!(task.data[..4], [0xd3, 0x1a, 0x8d, 0x34]);
        task.open();
        assert!(task.is_done);
        assert_eq!(task.data, plain);
    }

    #[test]
    fn what_was_changed_is_not_opened() {
        let key = [1; 32];
        let mut data = [5; 100];
        let mut task = Task {
            key: &key,
            nonce: [2; 12],
            associated: &[],
            data: &mut data,
            tag: [0; 16],
            is_done: false,
        };
        task.seal();
        let sealed = task.data.to_vec();
        task.tag[3] ^= 1;
        task.open();
        assert!(!task.is_done);
        assert_eq!(task.data, sealed);
        task.tag[3] ^= 1;
        task.data[99] ^= 1;
        task.open();
        assert!(!task.is_done);
    }
}
