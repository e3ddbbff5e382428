//! Programs, sound and damaged.

use super::*;
use alloc::vec;
use alloc::vec::Vec;
use core::mem::MaybeUninit;

/// Where things are in the file made by [`sound`].
const NOTES: usize = 0x200;
const DYNAMIC: usize = 0x300;
const RELOCATIONS: usize = 0x400;
const SYMBOLS: usize = 0x480;
const SECTIONS: usize = 0x500;
const FILE_BYTES: usize = 0x600;
const IMAGE_BYTES: usize = 0x1000;
const NOTE_BYTES: usize = 24;

/// A file whose first byte is at a multiple of eight, as an initrd's is.
struct File {
    room: Vec<u8>,
    start: usize,
}

impl File {
    fn new() -> Self {
        let room = vec![0; FILE_BYTES + FILE_ALIGN];
        let start = room.as_ptr().align_offset(FILE_ALIGN);
        Self { room, start }
    }

    fn bytes(&self) -> &[u8] {
        &self.room[self.start..self.start + FILE_BYTES]
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.room[self.start + at..][..bytes.len()].copy_from_slice(bytes);
    }

    fn put_u16(&mut self, at: usize, value: u16) {
        self.put(at, &value.to_le_bytes());
    }

    fn put_u32(&mut self, at: usize, value: u32) {
        self.put(at, &value.to_le_bytes());
    }

    fn put_u64s(&mut self, at: usize, values: &[u64]) {
        for (index, value) in values.iter().enumerate() {
            self.put(at + index * 8, &value.to_le_bytes());
        }
    }
}

/// A small position-independent program with each kind of relocation.
fn sound() -> File {
    let mut file = File::new();
    file.put(0, b"\x7fELF\x02\x01\x01\xff");
    file.put_u16(16, ET_DYN);
    file.put_u16(18, EM_X86_64);
    file.put_u32(20, 1);
    // Entry, program headers, section headers.
    file.put_u64s(24, &[0x140, 64, SECTIONS as u64]);
    // The header's size; size and number of program and of section headers.
    for (index, value) in [64, 56, 3, 64, 1].into_iter().enumerate() {
        file.put_u16(52 + 2 * index, value);
    }
    let segments = [
        (PT_LOAD, 0, FILE_BYTES, IMAGE_BYTES, 4096),
        (PT_NOTE, NOTES, NOTE_BYTES, NOTE_BYTES, 4),
        (PT_DYNAMIC, DYNAMIC, 64, 64, 8),
    ];
    for (index, (kind, start, in_file, in_memory, align)) in segments.into_iter().enumerate() {
        let at = 64 + index * SIZEOF_PHDR;
        let start = start as u64;
        file.put_u32(at, kind);
        file.put_u64s(at + 8, &[start, start, start]);
        file.put_u64s(at + 32, &[in_file as u64, in_memory as u64, align]);
    }
    file.put_u32(NOTES, 7);
    file.put_u32(NOTES + 4, 1);
    file.put_u32(NOTES + 8, ENTRY_NOTE.1);
    file.put(NOTES + 12, b"HERMIT\0\0");
    file.put(NOTES + 20, &[ENTRY_VERSION]);
    // DT_RELA, DT_RELASZ, DT_RELAENT, DT_NULL.
    file.put_u64s(DYNAMIC, &[7, RELOCATIONS as u64, 8, 72, 9, 24, 0, 0]);
    file.put_u64s(RELOCATIONS, &[0x800, R_X86_64_RELATIVE.into(), 0x140]);
    file.put_u64s(RELOCATIONS + 24, &[0x808, R_X86_64_64.into(), 1]);
    file.put_u64s(RELOCATIONS + 48, &[0xff8, R_X86_64_GLOB_DAT.into(), 0]);
    // A global symbol of section 1 with value 0x20.
    file.put(SYMBOLS + 4, &[0x10, 0, 1]);
    file.put_u64s(SYMBOLS + 8, &[0x20]);
    file.put_u32(SECTIONS + 4, SHT_DYNSYM);
    file.put_u64s(SECTIONS + 24, &[SYMBOLS as u64, SIZEOF_SYM as u64]);
    file
}

fn refusal(file: &File) -> alloc::string::String {
    alloc::format!("{}", parse(file.bytes()).expect_err("it is not sound"))
}

#[test]
fn a_sound_program_is_loaded_and_relocated() {
    let file = sound();
    let program = parse(file.bytes()).unwrap();
    assert_eq!(program.mem_size(), IMAGE_BYTES);
    let mut image = vec![MaybeUninit::new(0xff_u8); IMAGE_BYTES];
    let loaded = program.load_kernel(&mut image, 0x20_0000);
    assert_eq!(loaded.entry_point, 0x20_0140);
    // SAFETY: the bytes were initialised before they were loaded over.
    let image: Vec<u8> = image
        .iter()
        .map(|byte| unsafe { byte.assume_init() })
        .collect();
    let word = |at: usize| u64::from_le_bytes(image[at..at + 8].try_into().unwrap());
    assert_eq!(word(0x800), 0x20_0140);
    assert_eq!(word(0x808), 0x20_0021);
    assert_eq!(word(0xff8), 0x20_0020);
    assert_eq!(word(0x900), 0);
}

#[test]
fn foreign_files_are_refused_with_the_reason() {
    let mut file = sound();
    file.put(4, &[1]);
    assert!(refusal(&file).contains("64-bit"));
    let mut file = sound();
    file.put_u16(18, 0xb7);
    assert!(refusal(&file).contains("x86-64"));
    let mut file = sound();
    file.put_u16(16, 1);
    assert!(refusal(&file).contains("object file"));
    let mut file = sound();
    file.put(NOTES + 12, b"GNU\0\0\0\0\0");
    assert!(refusal(&file).contains("HERMIT note"));
    let mut file = sound();
    file.put(NOTES + 20, &[3]);
    assert!(refusal(&file).contains("version 3"));
    let mut file = sound();
    file.put_u64s(DYNAMIC + 32, &[DT_NEEDED]);
    assert!(refusal(&file).contains("dynamic libraries"));
    let mut file = sound();
    file.put_u64s(RELOCATIONS + 8, &[5]);
    assert!(refusal(&file).contains("type 5"));
}

#[test]
fn tables_outside_the_file_are_refused() {
    for (at, what) in [(32, "program headers"), (40, "section headers")] {
        let mut file = sound();
        file.put_u64s(at, &[FILE_BYTES as u64]);
        assert!(refusal(&file).contains(what));
    }
    let mut file = sound();
    file.put_u64s(DYNAMIC + 24, &[24 * 1000]);
    assert!(refusal(&file).contains("relocations are outside"));
    let mut file = sound();
    file.put_u64s(RELOCATIONS, &[IMAGE_BYTES as u64 - 7]);
    assert!(refusal(&file).contains("outside the image"));
    assert!(parse(&sound().bytes()[..40]).is_err());
    assert!(parse(&sound().bytes()[..FILE_BYTES - 8]).is_err());
}

#[test]
fn a_file_at_an_odd_address_is_refused() {
    let file = sound();
    assert!(matches!(
        parse(&file.bytes()[1..]),
        Err(Refused::Misplaced(_))
    ));
}

/// Whatever one damages, parsing and loading end without a panic.
#[test]
fn damage_is_refused_or_harmless() {
    let sites = (0..64 + 3 * SIZEOF_PHDR)
        .chain(NOTES..NOTES + NOTE_BYTES)
        .chain(DYNAMIC..DYNAMIC + 64)
        .chain(RELOCATIONS..RELOCATIONS + 72)
        .chain(SYMBOLS..SYMBOLS + SIZEOF_SYM)
        .chain(SECTIONS..SECTIONS + SIZEOF_SHDR);
    for at in sites {
        for value in [0_u8, 1, 4, 7, 8, 0x7f, 0x80, 0xff] {
            let mut file = sound();
            file.put(at, &[value]);
            let Ok(program) = parse(file.bytes()) else {
                continue;
            };
            // Larger images are refused for want of room.
            if program.mem_size() < 1 << 20 {
                let mut image = vec![MaybeUninit::uninit(); program.mem_size()];
                program.load_kernel(&mut image, program.start_addr().unwrap_or(0x20_0000));
            }
        }
    }
}
