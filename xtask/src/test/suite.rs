//! What the tests share: toolchain, loader, programs built once.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::app::App;
use crate::build_set::{BuildSet, Program};
use crate::error::{Context, Result};
use crate::initrd::Share;
use crate::kernel::Profile;
use crate::vm::{self, Config, Guest, Outcome, Output, Stop, Streams};

type Programs = HashMap<(String, &'static str), std::result::Result<Program, String>>;

/// What a program gets when it is started.
#[derive(Clone, Copy, Debug, Default)]
pub struct Given<'a> {
    /// Its arguments.
    pub args: &'a [String],
    /// Its environment variables, `KEY=VALUE`.
    pub env: &'a [String],
    /// Files and folders of the host.
    pub shares: &'a [Share],
    /// Its standard input.
    pub input: &'a [u8],
    /// How long its standard output is not read at first.
    pub unread_for: Duration,
}

/// The surroundings of all tests.
pub struct Suite {
    /// Toolchain, QEMU, loader.
    pub set: BuildSet,
    /// A folder for the tests' files; it goes when the suite does.
    pub folder: tempfile::TempDir,
    programs: Mutex<Programs>,
    host: Mutex<HashMap<String, std::result::Result<PathBuf, String>>>,
}

impl Suite {
    /// Gets ready what every test needs.
    pub fn new() -> Result<Self> {
        let set = BuildSet::ready()?;
        let folder = tempfile::Builder::new()
            .prefix("darner-test-")
            .tempdir()
            .context(|| "make a temporary folder".into())?;
        Ok(Self {
            set,
            folder,
            programs: Mutex::default(),
            host: Mutex::default(),
        })
    }

    /// The program of that name, built for the guest the first time.
    pub fn program(&self, name: &str, profile: Profile) -> std::result::Result<Program, String> {
        let mut programs = self.programs.lock().unwrap_or_else(PoisonError::into_inner);
        programs
            .entry((name.to_owned(), profile.name()))
            .or_insert_with(|| {
                App::find(&self.set.root, name)
                    .and_then(|app| self.set.program(&app, profile))
                    .map_err(|error| error.to_string())
            })
            .clone()
    }

    /// What `build` makes, while nothing else is built for the guest: cargo
    /// would make the second build wait anyhow.
    pub fn build<T>(&self, build: impl FnOnce(&BuildSet) -> T) -> T {
        let _programs = self.programs.lock().unwrap_or_else(PoisonError::into_inner);
        build(&self.set)
    }

    /// The same program built for this machine, the first time.
    pub fn host_program(&self, name: &str) -> std::result::Result<PathBuf, String> {
        let mut host = self.host.lock().unwrap_or_else(PoisonError::into_inner);
        host.entry(name.to_owned())
            .or_insert_with(|| {
                App::find(&self.set.root, name)
                    .and_then(|app| app.build_for_host(&self.set.toolchain, &self.set.root))
                    .map_err(|error| error.to_string())
            })
            .clone()
    }

    /// Runs a program in a VM to its end; all that it prints is kept. `name` is
    /// the test's: no two that run at the same time may have the same.
    pub fn boot(
        &self,
        name: &str,
        program: &Program,
        config: &Config,
        given: Given,
    ) -> Result<Outcome> {
        self.boot_unless(&Stop::default(), name, program, config, given)
    }

    /// As [`Self::boot`], or until it is stopped.
    pub fn boot_unless(
        &self,
        stop: &Stop,
        name: &str,
        program: &Program,
        config: &Config,
        given: Given,
    ) -> Result<Outcome> {
        let initrd = self.path(&format!("{}.tar", name.replace('/', "-")));
        self.set.initrd(&initrd, program, given.shares)?;
        let guest = Guest {
            loader: self.set.loader.clone(),
            initrd: initrd.clone(),
            name: program.name.clone(),
            log: None,
            env: given.env.to_vec(),
            args: given.args.to_vec(),
        };
        let mut streams = Streams::kept(given.input);
        if !given.unread_for.is_zero() {
            streams.stdout = Output::KeptAfter(given.unread_for);
        }
        let outcome = vm::run_unless(stop, &self.set.qemu, config, &guest, streams);
        // It goes with the folder, too; it is just large.
        let _ = std::fs::remove_file(&initrd);
        outcome
    }

    /// A path in the tests' folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}
