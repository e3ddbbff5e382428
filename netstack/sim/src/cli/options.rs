//! What the command line asks for.

use darner_sim::campaign::Campaign;
use darner_sim::fault::Faults;
use darner_sim::plan::{Agreement, Wishes, Work};
use lexopt::prelude::*;
use std::path::PathBuf;

/// What there is.
pub const HELP: &str = "\
cargo xtask sim [OPTIONS]      play clusters in virtual time, and check them after every step
    --seed S        the first episode (1); each next one has the next seed
    --steps K       how many steps in all (1000000); 50000 make an episode
    --nodes N       how many nodes, 1 to 64 (drawn from the seed)
    --faults LIST   all, none, or some of crash,pause,partition,cut,clock,pressure,
                    move,leave (drawn)
    --views WHOSE   given (by the simulator, at once and always right) or theirs: as nodes agree (drawn)
    --work WHAT     talk: little but transactions and requests to ports (drawn)
    --tries K       how many episodes to play at most to reduce one that is wrong (2000)
    --show K        how many of the last steps of what is wrong to show (40)
    --plot FILE     instead, measure messages per operation by number of nodes, and draw it (SVG)
    --figures       instead, print figures, one a line
";

/// The most nodes: as many as a cluster has slots.
const MOST_NODES: u16 = 64;
/// How many episodes are played at most to reduce one, if nobody says otherwise.
const TRIES: u32 = 2_000;
/// How many of the last steps are shown, if nobody says otherwise.
const SHOWN: usize = 40;

/// What the command line asks for.
#[derive(Clone, Debug)]
pub struct Options {
    /// What is to be done.
    pub task: Task,
    /// `--nodes` and `--faults` as they were given, to be repeated.
    pub repeated: String,
    /// How many episodes are played at most to reduce one.
    pub tries: u32,
    /// How many of the last steps are shown.
    pub show: usize,
}

/// What is to be done.
#[derive(Clone, Debug)]
pub enum Task {
    /// Print what there is.
    Help,
    /// Play episodes.
    Play(Campaign),
    /// Draw a plot.
    Plot(PathBuf),
    /// Print figures.
    Figures,
}

impl Options {
    /// Reads the command line.
    pub fn parse(mut parser: lexopt::Parser) -> Result<Self, lexopt::Error> {
        let mut campaign = Campaign {
            seed: 1,
            steps: 1_000_000,
            wishes: Wishes::default(),
        };
        let mut task = None;
        let mut repeated = String::new();
        let (mut tries, mut show) = (TRIES, SHOWN);
        while let Some(argument) = parser.next()? {
            match argument {
                Long("seed") => campaign.seed = parser.value()?.parse()?,
                Long("steps") => campaign.steps = parser.value()?.parse()?,
                Long("nodes") => {
                    let nodes: u16 = parser.value()?.parse()?;
                    if !(1..=MOST_NODES).contains(&nodes) {
                        let what = format!("found {nodes} nodes, expected 1 to {MOST_NODES}");
                        return Err(what.into());
                    }
                    repeated += &format!(" --nodes {nodes}");
                    campaign.wishes.nodes = Some(nodes);
                }
                Long("faults") => {
                    let list = parser.value()?.string()?;
                    campaign.wishes.faults = Some(Faults::parse(&list)?);
                    repeated += &format!(" --faults {list}");
                }
                Long("views") => {
                    let whose = parser.value()?.string()?;
                    campaign.wishes.agreement = Some(match &*whose {
                        "given" => Agreement::Given,
                        "theirs" => Agreement::Theirs,
                        _ => {
                            let what =
                                format!("found the views `{whose}`, expected given or theirs");
                            return Err(what.into());
                        }
                    });
                    repeated += &format!(" --views {whose}");
                }
                Long("work") => {
                    let what = parser.value()?.string()?;
                    if what != "talk" {
                        return Err(format!("found the work `{what}`, expected talk").into());
                    }
                    campaign.wishes.work = Some(Work::Talk);
                    repeated += " --work talk";
                }
                Long("tries") => tries = parser.value()?.parse()?,
                Long("show") => show = parser.value()?.parse()?,
                Long("plot") => task = Some(Task::Plot(parser.value()?.into())),
                Long("figures") => task = Some(Task::Figures),
                Long("help") | Short('h') => task = Some(Task::Help),
                other => return Err(other.unexpected()),
            }
        }
        Ok(Self {
            task: task.unwrap_or(Task::Play(campaign)),
            repeated,
            tries,
            show,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Options, lexopt::Error> {
        Options::parse(lexopt::Parser::from_args(words))
    }

    #[test]
    fn what_is_fixed_is_repeated() {
        let options = parse(&["--nodes", "3", "--seed", "7", "--faults", "crash,cut"]).unwrap();
        assert_eq!(options.repeated, " --nodes 3 --faults crash,cut");
        let Task::Play(campaign) = options.task else {
            panic!("expected episodes, found {options:?}");
        };
        assert_eq!((campaign.seed, campaign.wishes.nodes), (7, Some(3)));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for words in [
            &["--nodes", "65"][..],
            &["--nodes", "0"],
            &["--faults", "flood"],
            &["--steps", "many"],
            &["--views", "mine"],
            &["--work", "hard"],
            &["--seed"],
            &["--sed", "1"],
            &["stray"],
        ] {
            assert!(parse(words).is_err(), "{words:?}");
        }
    }
}
