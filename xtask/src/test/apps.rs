//! Programs of many kinds on several machines that are one system: each prints what it prints on
//! Linux.

use super::Depth;
use super::case::{Case, Verdict};
use super::matrix::on_host;
use super::suite::Suite;
use super::system::{SHAPES, run_within, same};

/// A program, and how much it is given to do.
struct Work {
    app: &'static str,
    /// So much for every change: as little as all parts of it need.
    usual: &'static [&'static str],
    /// So much when there is time.
    deep: &'static [&'static str],
}

const WORK: [Work; 12] = [
    Work {
        app: "ep",
        usual: &["--log2-pairs", "16"],
        deep: &["--log2-pairs", "21"],
    },
    Work {
        app: "matmul",
        usual: &["--size", "96"],
        deep: &["--size", "192"],
    },
    Work {
        app: "sor",
        usual: &["--size", "64", "--rounds", "4"],
        deep: &["--size", "192", "--rounds", "12"],
    },
    Work {
        app: "is",
        usual: &["--keys", "20000"],
        deep: &["--keys", "300000"],
    },
    Work {
        app: "lu",
        usual: &["--blocks", "4"],
        deep: &["--blocks", "8"],
    },
    Work {
        app: "molecules",
        usual: &["--molecules", "32", "--steps", "2"],
        deep: &["--molecules", "100", "--steps", "4"],
    },
    Work {
        app: "tsp",
        usual: &["--cities", "9"],
        deep: &["--cities", "13"],
    },
    Work {
        app: "kmeans",
        usual: &["--points", "3000", "--rounds", "5"],
        deep: &["--points", "30000", "--rounds", "12"],
    },
    Work {
        app: "rayon-tour",
        usual: &["--elements", "2000", "--queens", "6"],
        deep: &["--elements", "40000", "--queens", "9"],
    },
    Work {
        app: "pipeline",
        usual: &["--blocks", "20"],
        deep: &["--blocks", "150"],
    },
    Work {
        app: "torture",
        usual: &["--turns", "60"],
        deep: &["--turns", "200"],
    },
    Work {
        app: "litmus",
        usual: &["--runs", "128"],
        deep: &["--runs", "512"],
    },
];

/// Where each runs for every change.
const USUAL: (u16, u32) = (2, 2);

/// How long a program may take, in seconds, however busy the host is; and one that is to take long.
const PATIENCE: [u32; 2] = [600, 10_000];

/// Where litmus tests run very often, and how often each in each place: a hundred thousand together.
const LITMUS: ([(u16, u32); 2], [&str; 2]) = ([(2, 2), (3, 1)], ["--runs", "7200"]);

/// Each program on two machines of two CPUs; if there is time, on all shapes, with more to do.
pub fn cases(depth: Depth) -> Vec<Case> {
    let (nodes, cpus) = USUAL;
    let usual = WORK.iter().map(|work| {
        let name = format!("system/{}/{nodes}x{cpus}", work.app);
        case(name, USUAL, work.app, work.usual)
    });
    let mut cases: Vec<Case> = usual.collect();
    if depth == Depth::Deep {
        for shape @ (nodes, cpus) in SHAPES {
            cases.extend(WORK.iter().map(|work| {
                let name = format!("system/deep/{}/{nodes}x{cpus}", work.app);
                case(name, shape, work.app, work.deep)
            }));
        }
        let (shapes, runs) = &LITMUS;
        cases.extend(shapes.iter().map(|&(nodes, cpus)| {
            let name = format!("system/deep/litmus-often/{nodes}x{cpus}");
            Case::alone(name, move |suite| {
                as_on_linux(suite, PATIENCE[1], (nodes, cpus), "litmus", runs)
            })
        }));
    }
    cases
}

fn case(name: String, shape: (u16, u32), app: &'static str, args: &'static [&'static str]) -> Case {
    Case::alone(name, move |suite| {
        as_on_linux(suite, PATIENCE[0], shape, app, args)
    })
}

fn as_on_linux(
    suite: &Suite,
    seconds: u32,
    shape: (u16, u32),
    app: &str,
    args: &[&str],
) -> Verdict {
    let said = run_within(suite, seconds, shape, &[app], args)?;
    same(&said, &on_host(suite, app, args)?)
}
