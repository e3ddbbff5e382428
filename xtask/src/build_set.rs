//! What any guest needs: toolchain, QEMU, loader.

use std::path::{Path, PathBuf};

use crate::app::App;
use crate::command;
use crate::error::Result;
use crate::kernel::Profile;
use crate::toolchain::Toolchain;
use crate::{initrd, loader, qemu, workspace};

/// Everything that programs are built and started with.
pub struct BuildSet {
    /// The repository.
    pub root: PathBuf,
    /// The compiler.
    pub toolchain: Toolchain,
    /// QEMU's executable.
    pub qemu: PathBuf,
    /// The loader's ELF file.
    pub loader: PathBuf,
}

/// A program that can be put into a VM.
#[derive(Clone, Debug)]
pub struct Program {
    /// What it is called.
    pub name: String,
    /// As the linker made it, with symbols.
    pub elf: PathBuf,
    /// Without symbols: what the guest gets.
    pub stripped: PathBuf,
}

impl BuildSet {
    /// Finds, installs and builds what is missing.
    pub fn ready() -> Result<Self> {
        let root = workspace::root()?;
        let qemu = qemu::ensure()?;
        let toolchain = Toolchain::ready(&root)?;
        let loader = loader::build(&toolchain, &root)?;
        Ok(Self {
            root,
            toolchain,
            qemu,
            loader,
        })
    }

    /// Builds a program.
    pub fn program(&self, app: &App, profile: Profile) -> Result<Program> {
        let elf = app.build(&self.toolchain, &self.root, profile)?;
        self.stripped(&app.name, elf)
    }

    /// The program of that name, made of the linker's file.
    pub fn stripped(&self, name: &str, elf: PathBuf) -> Result<Program> {
        let stripped = elf.with_extension("stripped");
        command::run(
            self.toolchain
                .objcopy()?
                .arg("--strip-all")
                .arg(&elf)
                .arg(&stripped),
        )?;
        Ok(Program {
            name: name.to_owned(),
            elf,
            stripped,
        })
    }

    /// Writes the archive that the guest gets.
    pub fn initrd(&self, path: &Path, program: &Program, shares: &[initrd::Share]) -> Result<()> {
        initrd::write(path, &program.stripped, shares)
    }
}
