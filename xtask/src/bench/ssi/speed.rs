//! What takes time.

use super::cluster::Clusters;
use super::median;
use crate::bench::figure::{Figure, Goal};
use crate::error::{Error, Result};

/// Turns of each measurement: what is compared is measured alternately.
const ROUNDS: usize = 5;

/// A fault to read a page beside a request of 64 bytes that is answered with 4 KiB: by the same link, which is
/// what the fault's own messages take; and by TCP between two programs on such machines, which is not encrypted. The
/// parts of a second that others take are in all of them.
pub fn faults(clusters: &Clusters<'_>) -> Result<Vec<Figure>> {
    const COUNT: &str = "2000";
    let (mut faults, mut echoes, mut requests) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let fault = clusters.run(2, &[], &["ssi", "fault", COUNT])?;
        let echo = clusters.run(2, &[], &["ssi", "echo", COUNT])?;
        let request = clusters.run(2, &["--separate"], &["ssi", "rpc", COUNT])?;
        faults.push(fault.number("fault_median_ns")? / 1000.0);
        echoes.push(echo.number("echo_median_ns")? / 1000.0);
        requests.push(request.number("rpc_median_ns")? / 1000.0);
    }
    let ratio = |to: &[f64]| {
        let pairs = faults.iter().zip(to);
        median(pairs.map(|(fault, request)| fault / request).collect())
    };
    let nothing = || Error::failed("nothing was measured");
    let over_link = ratio(&echoes).ok_or_else(nothing)?;
    let over_tcp = ratio(&requests).ok_or_else(nothing)?;
    let middle = |values| median(values).ok_or_else(nothing);
    let over_link = Figure::new("ssi/fault_over_rpc", over_link, "times");
    Ok(vec![
        over_link.goal(Goal::AtMost(1.3)).peer("TreadMarks", 5.6),
        Figure::new("ssi/fault_over_plain_tcp", over_tcp, "times"),
        Figure::new("ssi/fault", middle(faults)?, "us"),
        Figure::new("ssi/rpc", middle(echoes)?, "us"),
        Figure::new("ssi/rpc_by_plain_tcp", middle(requests)?, "us"),
    ])
}

/// Programs, and their arguments: some seconds of work on one machine, so that what is begun and ended weighs
/// little.
const PROGRAMS: [(&str, &[&str]); 3] = [
    ("mandelbrot", &["--size", "2400"]),
    ("matmul", &["--size", "800"]),
    ("ep", &["--log2-pairs", "24"]),
];

/// Two machines of one CPU beside one, those programs that there are.
pub fn speedups(clusters: &Clusters<'_>) -> Result<Vec<Figure>> {
    let programs = PROGRAMS.iter().filter(|(app, _)| clusters.has(app));
    let speedup = |&(app, args): &(&str, &[&str])| {
        let program = [&[app], args].concat();
        let (mut one, mut two) = (f64::INFINITY, f64::INFINITY);
        for _ in 0..3 {
            one = one.min(clusters.run(1, &[], &program)?.took_ms()?);
            two = two.min(clusters.run(2, &[], &program)?.took_ms()?);
        }
        let figure = Figure::new(format!("ssi/speedup_{app}"), one / two, "times");
        Ok(figure.bigger_is_better().goal(Goal::AtLeast(1.8)))
    };
    programs.map(speedup).collect()
}

/// Seconds from the first node's reset until the program is there: it waits for all nodes.
pub fn boots(clusters: &Clusters<'_>) -> Result<Vec<Figure>> {
    let boot = |nodes: u16| {
        let mut time = f64::INFINITY;
        for _ in 0..3 {
            let said = clusters.run(nodes, &["--mem", "128"], &["ssi", "boot"])?;
            if said.number("nodes")? != f64::from(nodes) {
                return Err(Error::failed(format!(
                    "the program did not find {nodes} nodes"
                )));
            }
            time = time.min(said.booted()?);
        }
        Ok(Figure::new(format!("ssi/boot_{nodes}"), time, "s"))
    };
    [3, 8].into_iter().map(boot).collect()
}
