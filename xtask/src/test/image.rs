//! What is built: the kernel library as Hermit's build hook asks for it, and the
//! finished program's file.

use std::process::Command;

use object::read::elf::{FileHeader, ProgramHeader, SectionHeader};
use object::{Endianness, elf};

use super::case::{Case, Verdict};
use super::suite::Suite;
use crate::command;
use crate::kernel::Profile;
use crate::workspace;

const PAGE: u64 = 4096;
/// All that Hermit's crate may forward.
const HERMIT_FEATURES: &str = "acpi console dhcpv4 dns fs fsgsbase gem-net idle-poll kernel-stack log-target mman mmap \
                               net pci pci-ids rtl8139 semihosting shell smp strace tcp trace udp vga virtio-console \
                               virtio-fs virtio-net virtio-vsock vsock";

/// All of them.
pub fn cases() -> Vec<Case> {
    vec![
        Case::build("image/layout/release", |suite| {
            layout(suite, Profile::Release)
        }),
        Case::build("image/hook", hook),
        Case::build("image/layout/debug", |suite| layout(suite, Profile::Debug)),
    ]
}

/// The very command that Hermit's build script runs, without the variables that
/// it removes.
fn hook(suite: &Suite) -> Verdict {
    let target_dir = workspace::target_dir(&suite.set.root).join("hook");
    let library = target_dir.join("x86_64/release/libhermit.a");
    let _ = std::fs::remove_file(&library);
    let mut cargo = Command::new("cargo");
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        // Whether anything may be fetched is this machine's to say.
        let machine = ["CARGO_HOME", "RUSTUP_HOME", "RUSTUP_AUTO_INSTALL"].contains(&&*text);
        if !machine
            && (text.starts_with("CARGO") || text.starts_with("RUST") || text == "LD_LIBRARY_PATH")
        {
            cargo.env_remove(name);
        }
    }
    cargo
        .current_dir(&suite.set.root)
        .args([
            "run",
            "--package=xtask",
            "--no-default-features",
            "--target-dir",
        ])
        .arg(&target_dir)
        .args([
            "--",
            "build",
            "--arch",
            "x86_64",
            "--profile",
            "release",
            "--target-dir",
        ])
        .arg(&target_dir)
        .args(["--no-default-features", "--features", HERMIT_FEATURES]);
    command::output(&mut cargo)?;
    match library.is_file() {
        true => Ok(()),
        false => Err(format!("it made no {}", library.display()))?,
    }
}

/// The finished file is what Hermit's loaders accept, nothing in it is both
/// writable and executable, and no page is both the kernel's and the program's.
fn layout(suite: &Suite, profile: Profile) -> Verdict {
    let program = suite.program("hello", profile)?;
    let data = std::fs::read(&program.stripped)?;
    let header = elf::FileHeader64::<Endianness>::parse(&*data)?;
    let endian = header.endian()?;
    if header.e_ident().os_abi != elf::ELFOSABI_STANDALONE {
        Err(format!(
            "found OS ABI {}, expected 255 (standalone)",
            header.e_ident().os_abi
        ))?;
    }
    if header.e_type(endian) != elf::ET_DYN || header.e_entry(endian) == 0 {
        Err("expected a position-independent file with an entry")?;
    }
    for segment in header.program_headers(endian, &*data)? {
        let both = elf::PF_W | elf::PF_X;
        if segment.p_type(endian) == elf::PT_LOAD && segment.p_flags(endian) & both == both {
            Err(format!(
                "the segment at {:#x} is writable and executable",
                segment.p_vaddr(endian)
            ))?;
        }
    }
    let sections = header.sections(endian, &*data)?;
    let mut pages: Vec<(u64, u64, String)> = Vec::new();
    for section in sections.iter() {
        let flags = section.sh_flags(endian);
        let name = String::from_utf8_lossy(sections.section_name(endian, section)?).into_owned();
        let is_tls = flags & u64::from(elf::SHF_TLS) != 0;
        let size = section.sh_size(endian);
        if flags & u64::from(elf::SHF_ALLOC) != 0 && size > 0 && !is_tls {
            let start = section.sh_addr(endian);
            pages.push((start / PAGE, (start + size).div_ceil(PAGE), name));
        }
    }
    for note in [
        ".note.hermit.entry-version",
        ".note.ABI-tag",
        "ktext",
        "krodata",
        "kdata",
        "kbss",
    ] {
        if !pages.iter().any(|(_, _, name)| name == note) {
            Err(format!("section {note} is missing"))?;
        }
    }
    for (start, end, name) in pages.iter().filter(|(_, _, name)| name.starts_with('k')) {
        let other = pages
            .iter()
            .find(|(from, to, other)| other != name && from < end && start < to);
        if let Some((_, _, other)) = other {
            Err(format!("section {name} shares a page with {other}"))?;
        }
    }
    Ok(())
}
