//! Virtio devices at fixed places, as ACPI lists them.
//!
//! What ACPI says of devices is a program, AML. Hypervisors that put virtio devices at fixed
//! places describe each with constants: a device with the identifier `LNRO0005` and, in a
//! buffer, its current resources. So the program is not run here; it is searched for that
//! identifier and for the buffer that follows. Where something else is found there is no
//! device at that place, and the command line can name it (`virtio_mmio.device`).
//!
//! Encodings are those of the ACPI Specification 6.5, sections 20.2 (AML) and 6.4 (resources).

use alloc::vec::Vec;
use core::slice;

use super::virtio::mmio::Place;
use crate::memory::paging;
use crate::platform::Table;

/// `Name (_HID,`
const IDENTIFIER: &[u8] = b"\x08_HID";
/// The string `LNRO0005`.
const VIRTIO: &[u8] = b"\x0dLNRO0005\0";
/// `Name (_CRS, Buffer`
const RESOURCES: &[u8] = b"\x08_CRS\x11";

/// The devices that `table` lists.
pub fn virtio_devices(table: Table) -> Vec<Place> {
    let start = paging::map_table(table.physical, table.bytes) as *const u8;
    // SAFETY: the table is mapped for as long as the kernel runs, and nobody writes it.
    let aml = unsafe { slice::from_raw_parts(start, table.bytes as usize) };
    // Each part begins after an identifier's name, and so has one device's names at most.
    parts(aml, IDENTIFIER)
        .filter_map(|device| device.strip_prefix(VIRTIO))
        .filter_map(|device| place(after(device, RESOURCES)?))
        .collect()
}

/// What is after each `mark`, up to the next one.
fn parts<'a>(bytes: &'a [u8], mark: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = after(bytes, mark);
    core::iter::from_fn(move || {
        let part = rest?;
        let end = find(part, mark);
        rest = end.and_then(|end| part.get(end + mark.len()..));
        Some(&part[..end.unwrap_or(part.len())])
    })
}

fn find(bytes: &[u8], mark: &[u8]) -> Option<usize> {
    bytes.windows(mark.len()).position(|window| window == mark)
}

fn after<'a>(bytes: &'a [u8], mark: &[u8]) -> Option<&'a [u8]> {
    bytes.get(find(bytes, mark)? + mark.len()..)
}

/// The place that a buffer with resources names: it begins with the lengths of the package
/// and of the buffer.
fn place(buffer: &[u8]) -> Option<Place> {
    /// How many bytes more the package's length has is in these bits.
    const MORE: u32 = 6;
    let more = usize::from(buffer.first()? >> MORE);
    let rest = buffer.get(1 + more..)?;
    let length_bytes = match *rest.first()? {
        0x0a => 1,
        0x0b => 2,
        0x0c => 4,
        // A constant of one byte: too short for a device.
        _ => return None,
    };
    let mut rest = rest.get(1 + length_bytes..)?;
    let (mut memory, mut irq) = (None, None);
    while let Some((descriptor, following)) = descriptor(rest) {
        rest = following;
        match descriptor {
            Descriptor::Memory { physical, bytes } => memory = Some((physical, bytes)),
            Descriptor::Interrupt(number) => irq = Some(number),
            Descriptor::End => break,
            Descriptor::Other => {}
        }
    }
    let (physical, bytes) = memory?;
    Some(Place {
        physical,
        bytes,
        irq: irq?,
    })
}

enum Descriptor {
    Memory { physical: u64, bytes: u64 },
    Interrupt(u32),
    End,
    Other,
}

/// The first descriptor of a resource, and what follows it.
fn descriptor(bytes: &[u8]) -> Option<(Descriptor, &[u8])> {
    const LARGE: u8 = 0x80;
    const MEMORY_32_FIXED: u8 = 0x86;
    const EXTENDED_INTERRUPT: u8 = 0x89;
    const END: u8 = 0x0f;
    let (&tag, rest) = bytes.split_first()?;
    if tag & LARGE == 0 {
        let length = usize::from(tag & 0b111);
        let descriptor = match tag >> 3 {
            END => Descriptor::End,
            _ => Descriptor::Other,
        };
        return Some((descriptor, rest.get(length..)?));
    }
    let length = usize::from(u16::from_le_bytes([*rest.first()?, *rest.get(1)?]));
    let body = rest.get(2..2 + length)?;
    let word = |at: usize| Some(u32::from_le_bytes(body.get(at..at + 4)?.try_into().ok()?));
    let descriptor = match tag {
        MEMORY_32_FIXED => Descriptor::Memory {
            physical: word(1)?.into(),
            bytes: word(5)?.into(),
        },
        EXTENDED_INTERRUPT => Descriptor::Interrupt(word(2)?),
        _ => Descriptor::Other,
    };
    Some((descriptor, &rest[2 + length..]))
}
