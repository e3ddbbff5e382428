//! What the tests share: toolchain, loader, programs built once.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use crate::app::App;
use crate::build_set::{BuildSet, Program};
use crate::error::{Context, Result};
use crate::kernel::Profile;

type Programs = HashMap<(String, &'static str), std::result::Result<Program, String>>;

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
        // One build at a time: cargo would make the second one wait anyhow.
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

    /// A path in the tests' folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}
