//! A machine on the switch that is no machine: a socket that frames go into and out of.

use std::io::{BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// See the module.
pub struct Peer {
    pub stream: UnixStream,
    reader: BufReader<UnixStream>,
}

impl Peer {
    /// Plugs in at a port's socket.
    pub fn plug(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).unwrap();
        let patience = Some(Duration::from_secs(20));
        stream.set_read_timeout(patience).unwrap();
        stream.set_write_timeout(patience).unwrap();
        let reader = BufReader::with_capacity(256 * 1024, stream.try_clone().unwrap());
        Self { stream, reader }
    }

    /// Sends frames, all in one piece.
    pub fn send<'a>(&self, frames: impl IntoIterator<Item = &'a [u8]>) {
        let mut bytes = Vec::new();
        for frame in frames {
            bytes.extend_from_slice(&u32::try_from(frame.len()).unwrap().to_be_bytes());
            bytes.extend_from_slice(frame);
        }
        (&self.stream).write_all(&bytes).unwrap();
    }

    /// Waits for the next frame.
    pub fn receive(&mut self) -> Vec<u8> {
        let mut length = [0; 4];
        self.reader.read_exact(&mut length).unwrap();
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        self.reader.read_exact(&mut frame).unwrap();
        frame
    }
}

/// A frame from one station to another (7 is everyone), with a number in it.
pub fn frame(from: u8, to: u8, number: u32, length: usize) -> Vec<u8> {
    let mut frame = vec![0; length];
    frame[..6].copy_from_slice(&match to {
        7 => [0xff; 6],
        to => [2, 0, 0, 0, 0, to],
    });
    frame[6..12].copy_from_slice(&[2, 0, 0, 0, 0, from]);
    frame[14..18].copy_from_slice(&number.to_be_bytes());
    frame
}

/// The number in a frame.
pub fn number(frame: &[u8]) -> u32 {
    u32::from_be_bytes(*frame[14..].first_chunk().unwrap())
}
