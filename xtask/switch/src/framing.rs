//! Frames on a byte stream: a length in four bytes, big-endian, before each. It is what
//! QEMU's `-netdev stream` speaks.
//!
//! QEMU can also send each frame as a datagram (`-netdev dgram`). The stream is the
//! better one here:
//!
//! * **Back-pressure.** A stream takes some hundred frames, whatever their size in bytes
//!   allows, then stops its sender. A Unix datagram socket takes ten by default
//!   (`net.unix.max_dgram_qlen`): either the sender is woken for every few frames, or
//!   the host has to be set up for it.
//! * **Ends.** A machine that ends closes its stream. Datagrams cease, as they do from a
//!   machine that has nothing to say.
//! * **Batches.** One read or write of a stream moves dozens of frames.
//!
//! Both keep the order.

use std::io::{self, Read, Write};

use crate::MAX_FRAME;

const PREFIX: usize = 4;
/// QEMU's own limit. What claims to be longer is no frame, and not from QEMU.
const ABSURD: usize = 4096 + 65536;
/// Room for what is read at once.
const BUFFER: usize = 256 * 1024;

/// Why nothing can be read from a stream any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The peer has closed it.
    Ended,
    /// It claims a frame of so many bytes.
    NotFrames(usize),
    /// The operating system says so.
    Failed(io::ErrorKind),
}

/// What comes next out of a stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<'a> {
    /// A frame.
    Frame(&'a [u8]),
    /// One that was too long and is skipped.
    Oversized(usize),
    /// Nothing that is complete.
    Nothing,
}

/// The receiving half.
pub struct Incoming {
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// How many bytes to pass over.
    skip: usize,
}

impl Default for Incoming {
    fn default() -> Self {
        Self {
            buffer: vec![0; BUFFER].into(),
            start: 0,
            end: 0,
            skip: 0,
        }
    }
}

impl Incoming {
    /// Reads once; gives the number of bytes, 0 when there is nothing at the moment.
    ///
    /// # Errors
    /// When nothing more will come.
    pub fn fill(&mut self, mut stream: impl Read) -> Result<usize, Broken> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.buffer.len() - self.end < ABSURD {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end == self.buffer.len() {
            return Ok(0);
        }
        match stream.read(&mut self.buffer[self.end..]) {
            Ok(0) => Err(Broken::Ended),
            Ok(count) => {
                self.end += count;
                let skipped = self.skip.min(self.end - self.start);
                self.start += skipped;
                self.skip -= skipped;
                Ok(count)
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(0),
                io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Err(Broken::Ended),
                kind => Err(Broken::Failed(kind)),
            },
        }
    }

    /// Takes the next frame out.
    ///
    /// # Errors
    /// When what is there are no frames.
    pub fn take(&mut self) -> Result<Next<'_>, Broken> {
        let present = &self.buffer[self.start..self.end];
        let Some(prefix) = present.first_chunk::<PREFIX>() else {
            return Ok(Next::Nothing);
        };
        let length = u32::from_be_bytes(*prefix) as usize;
        if length > ABSURD {
            return Err(Broken::NotFrames(length));
        }
        if length > MAX_FRAME {
            let whole = PREFIX + length;
            let skipped = whole.min(present.len());
            self.start += skipped;
            self.skip = whole - skipped;
            return Ok(Next::Oversized(length));
        }
        if present.len() < PREFIX + length {
            return Ok(Next::Nothing);
        }
        let frame = self.start + PREFIX..self.start + PREFIX + length;
        self.start = frame.end;
        Ok(Next::Frame(&self.buffer[frame]))
    }
}

/// The sending half.
#[derive(Default)]
pub struct Outgoing {
    bytes: Vec<u8>,
    start: usize,
}

impl Outgoing {
    /// Adds a frame.
    pub fn push(&mut self, frame: &[u8]) {
        let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        self.bytes.extend_from_slice(&length.to_be_bytes());
        self.bytes.extend_from_slice(frame);
    }

    /// How many bytes wait.
    pub fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// Whether none do.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes once; gives the number of bytes, 0 when there is no room at the moment.
    ///
    /// # Errors
    /// When nothing will be taken any more.
    pub fn flush(&mut self, mut stream: impl Write) -> Result<usize, Broken> {
        if self.is_empty() {
            return Ok(0);
        }
        match stream.write(&self.bytes[self.start..]) {
            Ok(count) => {
                self.start += count;
                if self.is_empty() {
                    self.clear();
                } else if self.start >= BUFFER {
                    self.bytes.drain(..self.start);
                    self.start = 0;
                }
                Ok(count)
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(0),
                io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Err(Broken::Ended),
                kind => Err(Broken::Failed(kind)),
            },
        }
    }

    /// Throws everything away.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.start = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::{ABSURD, Broken, Incoming, Next, Outgoing};
    use crate::MAX_FRAME;

    /// Gives and takes so many bytes at a time.
    struct Trickle<'a> {
        bytes: &'a mut Vec<u8>,
        at_once: usize,
    }

    impl io::Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.bytes.is_empty() {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let count = self.at_once.min(self.bytes.len()).min(buffer.len());
            buffer[..count].copy_from_slice(&self.bytes[..count]);
            self.bytes.drain(..count);
            Ok(count)
        }
    }

    impl io::Write for Trickle<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = self.at_once.min(bytes.len());
            self.bytes.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The lengths of the frames that come; those of skipped ones are negative.
    fn read(bytes: &mut Vec<u8>, at_once: usize) -> Vec<i64> {
        let mut incoming = Incoming::default();
        let mut lengths = Vec::new();
        while incoming.fill(Trickle { bytes, at_once }).unwrap() > 0 {
            loop {
                match incoming.take().unwrap() {
                    Next::Frame(frame) => {
                        let length = i64::try_from(frame.len()).unwrap();
                        assert!(frame.iter().all(|byte| i64::from(*byte) == length % 251));
                        lengths.push(length);
                    }
                    Next::Oversized(length) => lengths.push(-i64::try_from(length).unwrap()),
                    Next::Nothing => break,
                }
            }
        }
        lengths
    }

    #[test]
    fn frames_come_out_as_they_went_in_however_the_stream_is_cut() {
        let lengths = [
            0,
            14,
            60,
            1514,
            MAX_FRAME,
            MAX_FRAME + 1,
            15,
            ABSURD,
            1000,
            3,
        ];
        for at_once in [1, 3, 4, 1000, 65536, 1 << 20] {
            let mut outgoing = Outgoing::default();
            for length in lengths {
                outgoing.push(&vec![(length % 251) as u8; length]);
            }
            let mut bytes = Vec::new();
            while !outgoing.is_empty() {
                let bytes = &mut bytes;
                outgoing.flush(Trickle { bytes, at_once }).unwrap();
            }
            let expected = lengths.map(|length| {
                let signed = i64::try_from(length).unwrap();
                if length > MAX_FRAME { -signed } else { signed }
            });
            assert_eq!(read(&mut bytes, at_once), expected, "{at_once} at once");
        }
    }

    #[test]
    fn a_buffer_that_fills_up_is_used_from_the_front_again() {
        let mut outgoing = Outgoing::default();
        for _ in 0..1000 {
            outgoing.push(&[(9000 % 251) as u8; 9000]);
        }
        let mut bytes = Vec::new();
        while !outgoing.is_empty() {
            let bytes = &mut bytes;
            let at_once = 100_001;
            outgoing.flush(Trickle { bytes, at_once }).unwrap();
        }
        assert_eq!(read(&mut bytes, 70_001), vec![9000; 1000]);
    }

    #[test]
    fn what_is_not_frames_is_told_from_them() {
        let mut incoming = Incoming::default();
        incoming.fill(&b"GET / HTTP/1.1\r\n"[..]).unwrap();
        assert_eq!(incoming.take(), Err(Broken::NotFrames(0x4745_5420)));
        assert_eq!(incoming.fill(&b""[..]), Err(Broken::Ended));
    }
}
