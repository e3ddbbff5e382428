//! Programs in virtual machines, to be measured.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::app::App;
use crate::build_set::{BuildSet, Program};
use crate::error::{Context, Error, Result};
use crate::initrd::Share;
use crate::kernel::Profile;
use crate::vm::{self, Config, End, Guest, Outcome, Streams};

/// How long a guest may take. None that is measured needs more than seconds; an
/// emulated CPU on a busy machine is slow.
const PATIENCE: Duration = Duration::from_secs(90);

/// What every group measures with.
pub struct Guests<'a> {
    set: &'a BuildSet,
    folder: tempfile::TempDir,
}

/// A program, packed for the loader.
pub struct Packed {
    program: Program,
    initrd: PathBuf,
}

impl Packed {
    /// The ELF file that the guest gets.
    pub fn file(&self) -> &Path {
        &self.program.stripped
    }
}

impl<'a> Guests<'a> {
    /// Makes the folder for what the guests get.
    pub fn new(set: &'a BuildSet) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("darner-bench-")
            .tempdir()
            .context(|| "make a temporary folder".into())?;
        Ok(Self { set, folder })
    }

    /// The toolchain, QEMU, and the repository that programs come from.
    pub fn set(&self) -> &BuildSet {
        self.set
    }

    /// The folder for what the guests get; it goes when this does.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Builds a program of `apps/`, optimised, and packs it.
    pub fn pack(&self, name: &str) -> Result<Packed> {
        self.pack_with(name, &[])
    }

    /// The same, with files of the host.
    pub fn pack_with(&self, name: &str, shares: &[Share]) -> Result<Packed> {
        let app = App::find(&self.set.root, name)?;
        let program = self.set.program(&app, Profile::Release)?;
        let initrd = self.folder.path().join(format!("{name}.tar"));
        self.set.initrd(&initrd, &program, shares)?;
        Ok(Packed { program, initrd })
    }

    /// A program with its arguments.
    pub fn guest(&self, packed: &Packed, args: &[&str]) -> Guest {
        Guest {
            loader: self.set.loader.clone(),
            initrd: packed.initrd.clone(),
            name: packed.program.name.clone(),
            log: None,
            env: Vec::new(),
            args: args.iter().map(|&word| word.to_owned()).collect(),
        }
    }

    /// Runs a program to its end, whatever that is.
    pub fn run(&self, packed: &Packed, config: &Config, args: &[&str]) -> Result<Outcome> {
        let guest = self.guest(packed, args);
        let config = Config {
            timeout: config.timeout.or(Some(PATIENCE)),
            ..config.clone()
        };
        vm::run(&self.set.qemu, &config, &guest, Streams::kept(""))
    }

    /// Runs a program that has to end well.
    pub fn run_well(&self, packed: &Packed, config: &Config, args: &[&str]) -> Result<Outcome> {
        let outcome = self.run(packed, config, args)?;
        match outcome.end {
            End::Exited(0) => Ok(outcome),
            _ => Err(Error::failed(format!(
                "the program `{}` did not end well, so there is nothing to measure: {:?} ({:?}); it said:\n{}{}",
                packed.program.name,
                outcome.end,
                outcome.report.death,
                String::from_utf8_lossy(&outcome.stdout),
                String::from_utf8_lossy(&outcome.stderr),
            ))),
        }
    }
}
