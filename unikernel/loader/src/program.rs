//! Whether an executable can be loaded.
//!
//! `hermit-entry` loads it, but it trusts the file: it panics where a table lies
//! outside it. So everything that it will follow is looked at here first, and a
//! damaged or foreign file is refused with what is wrong with it.

use core::fmt;

use goblin::elf64::dynamic::{DT_NEEDED, Dyn, DynamicInfo};
use goblin::elf64::header::{
    EI_CLASS, EI_DATA, ELFCLASS64, ELFDATA2LSB, EM_X86_64, ET_DYN, ET_EXEC, Header, SIZEOF_EHDR,
};
use goblin::elf64::program_header::{PT_DYNAMIC, PT_LOAD, PT_NOTE, ProgramHeader, SIZEOF_PHDR};
use goblin::elf64::reloc::{
    R_X86_64_64, R_X86_64_GLOB_DAT, R_X86_64_RELATIVE, Rela, SIZEOF_RELA, r_sym, r_type,
};
use goblin::elf64::section_header::{SHT_DYNSYM, SIZEOF_SHDR, SectionHeader};
use goblin::elf64::sym::{SIZEOF_SYM, Sym};
use hermit_entry::elf::KernelObject;
use plain::Plain;

/// The note that says by which version of the entry protocol a program starts.
const ENTRY_NOTE: (&[u8], u32) = (b"HERMIT\0", 0x5a00);
/// The version of the entry protocol that this loader speaks.
const ENTRY_VERSION: u8 = 4;
/// The alignment that the tables in the file need, and so the file.
const FILE_ALIGN: usize = 8;

/// Why an executable was refused.
#[derive(Debug)]
pub enum Refused {
    /// The file cannot be read as an ELF executable.
    Damaged(&'static str),
    /// It is one, but not for this loader.
    Foreign(&'static str),
    /// It speaks another version of the entry protocol.
    Version(u8),
    /// A relocation that nobody here applies.
    Relocation(u32),
    /// The file is not where its tables can be read in place.
    Misplaced(usize),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged(what) => write!(
                f,
                "the program's ELF file is damaged: {what}; build it again, and check that it was copied whole"
            ),
            Self::Foreign(what) => write!(
                f,
                "the program cannot run here: {what}; build it with --target x86_64-unknown-hermit and the `hermit` crate"
            ),
            Self::Version(found) => write!(
                f,
                "the program has version {found} of Hermit's entry protocol, and this loader speaks version {ENTRY_VERSION}; \
                 build the loader and the program from the same sources"
            ),
            Self::Relocation(kind) => write!(
                f,
                "the program has a relocation of type {kind}, and only types 1, 6 and 8 can be applied; \
                 link it as a static position-independent executable"
            ),
            Self::Misplaced(address) => write!(
                f,
                "the program starts at address {address:#x}, which is no multiple of {FILE_ALIGN}; \
                 let the VMM put the initrd at a page boundary"
            ),
        }
    }
}

use Refused::{Damaged, Foreign};

/// Looks at everything that loading will follow, then parses.
pub fn parse(elf: &[u8]) -> Result<KernelObject<'_>, Refused> {
    let address = elf.as_ptr().addr();
    if !address.is_multiple_of(FILE_ALIGN) {
        return Err(Refused::Misplaced(address));
    }
    let header: &Header = slice(elf, 0, 1, SIZEOF_EHDR)
        .and_then(|headers| headers.first())
        .ok_or(Damaged("it ends within its header"))?;
    check_header(header)?;
    let segments: &[ProgramHeader] = slice(elf, header.e_phoff, header.e_phnum.into(), SIZEOF_PHDR)
        .ok_or(Damaged("its program headers are outside the file"))?;
    let sections: &[SectionHeader] = slice(elf, header.e_shoff, header.e_shnum.into(), SIZEOF_SHDR)
        .ok_or(Damaged("its section headers are outside the file"))?;
    let image_bytes = check_segments(elf, header, segments)?;
    check_notes(elf, segments)?;
    // Relocations are applied to position-independent programs only, but always read.
    let room = match header.e_type {
        ET_DYN => image_bytes,
        _ => u64::MAX,
    };
    check_relocations(elf, segments, sections, room)?;
    KernelObject::parse(elf).map_err(|_| Damaged("its parts contradict each other"))
}

/// `count` values of a table in the file; `None` if they are not all in it, or
/// not aligned.
fn slice<T: Plain>(elf: &[u8], offset: u64, count: usize, size: usize) -> Option<&[T]> {
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(count.checked_mul(size)?)?;
    T::slice_from_bytes(elf.get(start..end)?).ok()
}

/// The bytes of a range of the file.
fn bytes(elf: &[u8], offset: u64, len: u64) -> Option<&[u8]> {
    slice(elf, offset, usize::try_from(len).ok()?, 1)
}

fn check_header(header: &Header) -> Result<(), Refused> {
    if header.e_ident[EI_CLASS] != ELFCLASS64 {
        return Err(Foreign("it is not a 64-bit executable"));
    }
    if header.e_ident[EI_DATA] != ELFDATA2LSB {
        return Err(Foreign("it is not little-endian"));
    }
    if header.e_machine != EM_X86_64 {
        return Err(Foreign("it is not for x86-64 CPUs"));
    }
    if !matches!(header.e_type, ET_DYN | ET_EXEC) {
        return Err(Foreign(
            "it is an object file or a core dump, not an executable",
        ));
    }
    if usize::from(header.e_phentsize) != SIZEOF_PHDR && header.e_phnum != 0 {
        return Err(Damaged("its program headers have an unknown size"));
    }
    if header.e_entry == 0 {
        return Err(Foreign("it has no entry point"));
    }
    Ok(())
}

/// Checks what is to be copied, and returns the image's size.
fn check_segments(elf: &[u8], header: &Header, segments: &[ProgramHeader]) -> Result<u64, Refused> {
    let mut base = None;
    let mut end = 0;
    for segment in segments.iter().filter(|segment| segment.p_type == PT_LOAD) {
        bytes(elf, segment.p_offset, segment.p_filesz)
            .ok_or(Damaged("a segment is outside the file"))?;
        if segment.p_filesz > segment.p_memsz {
            return Err(Damaged("a segment is longer in the file than in memory"));
        }
        if segment.p_vaddr < end {
            return Err(Damaged("its segments overlap or are not in order"));
        }
        base.get_or_insert(segment.p_vaddr);
        end = segment
            .p_vaddr
            .checked_add(segment.p_memsz)
            .ok_or(Damaged("a segment is longer than the address space"))?;
    }
    let base = base.ok_or(Damaged("it has no segment to load"))?;
    if header.e_type == ET_DYN && base != 0 {
        return Err(Foreign(
            "it is position-independent but not linked at address 0",
        ));
    }
    if !(base..end).contains(&header.e_entry) {
        return Err(Damaged("its entry point is outside its segments"));
    }
    Ok(end - base)
}

/// Looks for the note of the entry protocol where `hermit-entry` does: in the
/// first segment of notes.
fn check_notes(elf: &[u8], segments: &[ProgramHeader]) -> Result<(), Refused> {
    const MISSING: Refused =
        Foreign("it has no HERMIT note, so it is not a program for this kernel");
    const DAMAGED: Refused = Damaged("its notes cannot be read");
    let segment = segments
        .iter()
        .find(|segment| segment.p_type == PT_NOTE)
        .ok_or(MISSING)?;
    if !matches!(segment.p_align, 4 | 8) || !segment.p_offset.is_multiple_of(4) {
        return Err(DAMAGED);
    }
    let align = segment.p_align as usize;
    let mut notes = bytes(elf, segment.p_offset, segment.p_filesz).ok_or(DAMAGED)?;
    let mut version = None;
    while let Some((header, _)) = notes.split_first_chunk::<12>() {
        let word = |at: usize| {
            u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
        };
        let (name_len, value_len) = (word(0) as usize, word(4) as usize);
        let name = notes.get(12..12 + name_len).ok_or(DAMAGED)?;
        if core::str::from_utf8(name).is_err() || name.is_empty() {
            return Err(DAMAGED);
        }
        let value_at = (12 + name_len).next_multiple_of(align);
        let value = notes.get(value_at..value_at + value_len).ok_or(DAMAGED)?;
        if (name, word(8)) == ENTRY_NOTE {
            version = version.or(Some(*value.first().ok_or(DAMAGED)?));
        }
        // The padding of the last note counts: the parser steps over it.
        notes = notes
            .get((value_at + value_len).next_multiple_of(align)..)
            .ok_or(DAMAGED)?;
    }
    match version {
        Some(ENTRY_VERSION) => Ok(()),
        Some(version) => Err(Refused::Version(version)),
        None => Err(MISSING),
    }
}

/// Checks that every relocation is of a known kind and within the image.
fn check_relocations(
    elf: &[u8],
    segments: &[ProgramHeader],
    sections: &[SectionHeader],
    image_bytes: u64,
) -> Result<(), Refused> {
    let Some(segment) = segments.iter().find(|segment| segment.p_type == PT_DYNAMIC) else {
        return Ok(());
    };
    let dynamic: &[Dyn] = bytes(elf, segment.p_offset, segment.p_filesz)
        .and_then(|bytes| Dyn::slice_from_bytes(bytes).ok())
        .ok_or(Damaged("its dynamic section is outside the file"))?;
    if dynamic.iter().any(|entry| entry.d_tag == DT_NEEDED) {
        return Err(Foreign("it needs dynamic libraries"));
    }
    let info = DynamicInfo::new(dynamic, segments);
    if info.relcount != 0 {
        return Err(Foreign("it has relocations without addends"));
    }
    let relocations: &[Rela] = slice(
        elf,
        info.rela as u64,
        info.relasz / SIZEOF_RELA,
        SIZEOF_RELA,
    )
    .filter(|_| info.relasz.is_multiple_of(SIZEOF_RELA))
    .ok_or(Damaged("its relocations are outside the file"))?;
    let symbols: &[Sym] = match sections
        .iter()
        .find(|section| section.sh_type == SHT_DYNSYM)
    {
        Some(section) => slice(
            elf,
            section.sh_offset,
            (section.sh_size / SIZEOF_SYM as u64) as usize,
            SIZEOF_SYM,
        )
        .filter(|_| section.sh_size.is_multiple_of(SIZEOF_SYM as u64))
        .ok_or(Damaged("its symbols are outside the file"))?,
        None => &[],
    };
    for relocation in relocations {
        if relocation.r_offset > image_bytes.saturating_sub(8) {
            return Err(Damaged("a relocation is outside the image"));
        }
        match r_type(relocation.r_info) {
            R_X86_64_RELATIVE => {}
            kind @ (R_X86_64_64 | R_X86_64_GLOB_DAT) => {
                if symbols.get(r_sym(relocation.r_info) as usize).is_none() {
                    return Err(Damaged("a relocation names a symbol that is not there"));
                }
                if kind == R_X86_64_GLOB_DAT && relocation.r_addend != 0 {
                    return Err(Damaged("a relocation of type 6 has an addend"));
                }
            }
            kind => return Err(Refused::Relocation(kind)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
