//! Jobs: programs on several machines that are one system, as files of `ci/jobs/` describe them
//! (`ci/README.md` tells how). Each job on each of its topologies is a case, `ci/JOB/TOPOLOGY`.

mod expect;
mod pattern;
mod play;
mod said;
mod spec;
mod topology;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::case::Case;
use crate::error::{Context, Error, Result};
use spec::Job;
use topology::Topology;

/// Where they are, in the repository.
const FOLDER: &str = "ci/jobs";

/// With which seeds runs are played.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seeds {
    /// The first of them; 1 unless given.
    pub first: Option<u64>,
    /// How many; what the job says, unless given.
    pub count: Option<u64>,
}

/// Which jobs are meant.
#[derive(Clone, Copy, Debug)]
pub enum Choice<'a> {
    /// Those that do not take long.
    Usual,
    /// All.
    All,
    /// These: the names of jobs, or with a topology, as in `mandelbrot/2x2`.
    Named(&'a [String]),
}

/// The cases of the jobs that are meant, and what each is about.
///
/// # Errors
/// When a file does not describe a job, or there is none of a name that was given.
pub fn cases(root: &Path, choice: Choice, seeds: Seeds) -> Result<Vec<(Case, String)>> {
    let mut jobs = Vec::new();
    for path in files(root)? {
        jobs.push(Arc::new(spec::read(root, &path)?));
    }
    if let Choice::Named(names) = choice {
        check(names, &jobs)?;
    }
    let mut cases = Vec::new();
    for job in jobs {
        for &topology in job.topologies() {
            if !is_meant(choice, &job, topology) {
                continue;
            }
            let (about, name) = (job.about.clone(), case_name(&job, topology));
            let alone = job.alone;
            let job = job.clone();
            let body = move |suite: &_| play::play(suite, &job, topology, seeds);
            let case = match alone {
                true => Case::alone(name, body),
                false => Case::new(name, body),
            };
            cases.push((case, about));
        }
    }
    Ok(cases)
}

fn case_name(job: &Job, topology: Topology) -> String {
    format!("ci/{}/{topology}", job.name)
}

fn is_meant(choice: Choice, job: &Job, topology: Topology) -> bool {
    let with_topology = format!("{}/{topology}", job.name);
    match choice {
        Choice::Usual => !job.deep,
        Choice::All => true,
        Choice::Named(names) => names
            .iter()
            .any(|name| *name == job.name || *name == with_topology),
    }
}

/// Refuses names that mean nothing.
fn check(names: &[String], jobs: &[Arc<Job>]) -> Result<()> {
    for name in names {
        let one = std::slice::from_ref(name);
        let is_there = jobs.iter().any(|job| {
            let mut topologies = job.topologies();
            topologies.any(|&topology| is_meant(Choice::Named(one), job, topology))
        });
        if !is_there {
            let known: Vec<&str> = jobs.iter().map(|job| job.name.as_str()).collect();
            return Err(Error::usage(format!(
                "found no job `{name}`, expected one of {} (or with one of its topologies, as in mandelbrot/2x2)",
                known.join(", ")
            )));
        }
    }
    Ok(())
}

/// The files of jobs, by name.
fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let folder = root.join(FOLDER);
    let entries = std::fs::read_dir(&folder).context(|| format!("list {}", folder.display()))?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|end| end == "toml"))
        .collect();
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::{Choice, Seeds, cases};

    fn names(choice: Choice) -> crate::error::Result<Vec<String>> {
        let root = crate::workspace::root()?;
        let cases = cases(&root, choice, Seeds::default())?;
        Ok(cases.into_iter().map(|(case, _)| case.name).collect())
    }

    #[test]
    fn all_jobs_can_be_read() {
        let (usual, all) = (names(Choice::Usual).unwrap(), names(Choice::All).unwrap());
        assert!(usual.contains(&"ci/mandelbrot/2x2".into()), "{usual:?}");
        assert!(usual.iter().all(|name| all.contains(name)));
        assert!(all.contains(&"ci/kill-any/3x1".into()) && usual.len() < all.len());
    }

    #[test]
    fn jobs_are_chosen_by_name() {
        let given = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let chosen = given(&["mandelbrot/2x2", "kill-any"]);
        let found = names(Choice::Named(&chosen)).unwrap();
        assert_eq!(found, ["ci/kill-any/3x1", "ci/mandelbrot/2x2"]);
        let wrong = given(&["mandelbrot/7x7"]);
        let error = names(Choice::Named(&wrong)).unwrap_err().to_string();
        assert!(error.contains("found no job `mandelbrot/7x7`") && error.contains("wordcount"));
    }
}
