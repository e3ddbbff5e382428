//! Everything that comes in, for Wireshark: a pcapng file with an interface for each port.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::{DataLink, PcapError};

use crate::frame::MAX_FRAME;
use crate::{Fate, PortId, Time};

/// Times are in units of 10⁻⁹ s.
const NANOSECONDS: u8 = 9;

/// The file.
pub struct Capture {
    writer: PcapNgWriter<BufWriter<File>>,
    /// When the switch was started, since 1970.
    started: Duration,
}

impl Capture {
    /// Makes the file, for a switch that is about to start.
    ///
    /// # Errors
    /// As the file system has them.
    pub fn create(path: &Path, ports: usize) -> io::Result<Self> {
        let file = BufWriter::with_capacity(256 * 1024, File::create(path)?);
        let mut writer = PcapNgWriter::new(file).map_err(as_io)?;
        for port in (0..ports).map(PortId::of) {
            let interface = InterfaceDescriptionBlock {
                linktype: DataLink::ETHERNET,
                snaplen: MAX_FRAME as u32,
                options: vec![
                    InterfaceDescriptionOption::IfName(port.to_string().into()),
                    InterfaceDescriptionOption::IfTsResol(NANOSECONDS),
                ],
            };
            writer.write_pcapng_block(interface).map_err(as_io)?;
        }
        writer.get_mut().flush()?;
        let started = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Ok(Self {
            writer,
            started: started.unwrap_or_default(),
        })
    }

    /// Adds a frame that came in at `port`, with a comment where it does not simply pass.
    ///
    /// # Errors
    /// As the file system has them.
    pub fn write(&mut self, now: Time, port: PortId, frame: &[u8], fate: Fate) -> io::Result<()> {
        let comment = match fate {
            Fate::Passed => None,
            Fate::Held => Some("held back by the switch, to be overtaken"),
            Fate::Lost => Some("lost by the switch"),
            Fate::Down => Some("refused: the port is down"),
            Fate::Malformed => Some("refused: this is no frame"),
        };
        let options = comment.map(|text| EnhancedPacketOption::Comment(text.into()));
        let packet = EnhancedPacketBlock {
            interface_id: port.0.into(),
            timestamp: self.started + now,
            original_len: frame.len() as u32,
            data: Cow::Borrowed(frame),
            options: options.into_iter().collect(),
        };
        self.writer.write_pcapng_block(packet).map_err(as_io)?;
        Ok(())
    }

    /// Writes out what is still in memory.
    ///
    /// # Errors
    /// As the file system has them.
    pub fn flush(&mut self) -> io::Result<()> {
        self.writer.get_mut().flush()
    }
}

fn as_io(error: PcapError) -> io::Error {
    match error {
        PcapError::IoError(error) => error,
        other => io::Error::other(other),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::Duration;

    use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketOption;
    use pcap_file::pcapng::blocks::interface_description::InterfaceDescriptionOption;
    use pcap_file::pcapng::{Block, PcapNgReader};

    use super::Capture;
    use crate::{Fate, PortId};

    #[test]
    fn what_is_written_can_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("all.pcapng");
        let mut capture = Capture::create(&path, 2).unwrap();
        let at = Duration::from_millis;
        capture
            .write(at(0), PortId(1), &[7; 61], Fate::Passed)
            .unwrap();
        capture
            .write(at(1), PortId(0), &[8; 1514], Fate::Lost)
            .unwrap();
        capture.flush().unwrap();

        let mut reader = PcapNgReader::new(File::open(&path).unwrap()).unwrap();
        let (mut names, mut packets) = (Vec::new(), Vec::new());
        while let Some(block) = reader.next_block() {
            match block.unwrap() {
                Block::InterfaceDescription(interface) => {
                    for option in &interface.options {
                        if let InterfaceDescriptionOption::IfName(name) = option {
                            names.push(name.to_string());
                        }
                    }
                }
                Block::EnhancedPacket(packet) => packets.push((
                    packet.interface_id,
                    packet.data.to_vec(),
                    packet.timestamp,
                    packet
                        .options
                        .iter()
                        .any(|option| matches!(option, EnhancedPacketOption::Comment(text) if text.contains("lost"))),
                )),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(names, ["n0", "n1"]);
        assert_eq!(packets.len(), 2);
        assert_eq!(
            (packets[0].0, &packets[0].1, packets[0].3),
            (1, &vec![7; 61], false)
        );
        assert_eq!(
            (packets[1].0, &packets[1].1, packets[1].3),
            (0, &vec![8; 1514], true)
        );
        assert_eq!(packets[1].2 - packets[0].2, at(1));
    }
}
