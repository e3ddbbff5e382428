//! What was found.

use super::CPUS;

/// How the counters are kept. The names are the kernel's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Under a spin lock.
    Spin,
    /// Under a lock that its waiters sleep for.
    Mutex,
    /// Under a token.
    Token,
    /// By their owner, asked by active message.
    Active,
    /// By their owner, asked by passive message.
    Passive,
}

impl Way {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Spin,
        Self::Mutex,
        Self::Token,
        Self::Active,
        Self::Passive,
    ];

    /// Its part of an experiment's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Spin => "spin",
            Self::Mutex => "mutex",
            Self::Token => "token",
            Self::Active => "active",
            Self::Passive => "passive",
        }
    }

    /// For readers.
    pub fn title(self) -> &'static str {
        match self {
            Self::Spin => "spin mutex",
            Self::Mutex => "sleeping mutex",
            Self::Token => "token",
            Self::Active => "active IPI message",
            Self::Passive => "passive IPI message",
        }
    }
}

/// Where updates go, and how long they are. The names are the kernel's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// All to the same counters.
    Hot,
    /// The same, each with some work.
    Long,
    /// To the CPU's own, a few to another's.
    Spread,
}

impl Shape {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Hot, Self::Long, Self::Spread];

    /// Its part of an experiment's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hot => "hot",
            Self::Long => "long",
            Self::Spread => "spread",
        }
    }

    /// For readers.
    pub fn title(self) -> &'static str {
        match self {
            Self::Hot => "hot: all update one set",
            Self::Long => "long: hot, +100 instructions",
            Self::Spread => "spread: 1 in 16 to another CPU",
        }
    }
}

/// What a figure is in several rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// The least.
    pub least: f64,
    /// The one in the middle.
    pub median: f64,
    /// The most.
    pub most: f64,
}

impl Range {
    /// Of these values, at least one.
    pub fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        let median = match values.len() % 2 {
            0 => f64::midpoint(values[middle - 1], values[middle]),
            _ => values[middle],
        };
        Self {
            least: values[0],
            median,
            most: values[values.len() - 1],
        }
    }
}

/// Everything that was measured.
pub struct Results {
    /// By shape, way and number of CPUs: updates a second of all CPUs, as a multiple of
    /// those of the spin lock on one CPU in the same round and shape.
    pub speeds: Vec<Vec<Vec<Range>>>,
    /// By number of CPUs, shape and way: message interrupts of 1000 updates.
    pub interrupts: Vec<Vec<Vec<f64>>>,
    /// By shape and way, and for a message of a CPU to itself: instructions of an update
    /// on one CPU.
    pub instructions: Vec<Vec<f64>>,
    /// The part of the host's CPU time that others took while speeds were measured.
    pub others: f64,
}

/// The speeds, from the ticks of an update by round, number of CPUs, shape and way.
pub fn speeds(rounds: &[Vec<Vec<Vec<f64>>>]) -> Vec<Vec<Vec<Range>>> {
    let speed = |shape: usize, way: usize, cpus: usize| {
        let of_round = |round: &Vec<Vec<Vec<f64>>>| {
            // The spin lock on one CPU is the first of the first.
            round[0][shape][0] / round[cpus][shape][way]
        };
        Range::of(rounds.iter().map(of_round).collect())
    };
    (0..Shape::ALL.len())
        .map(|shape| {
            (0..Way::ALL.len())
                .map(|way| {
                    (0..CPUS.len())
                        .map(|cpus| speed(shape, way, cpus))
                        .collect()
                })
                .collect()
        })
        .collect()
}

#[cfg(test)]
pub mod tests {
    use super::{CPUS, Range, Results, Shape, Way, speeds};

    /// Results in which speeds are 1, but that of the last way on the last number of
    /// CPUs.
    pub fn some() -> Results {
        let ways = vec![2.0; Way::ALL.len()];
        let mut round = vec![vec![ways; Shape::ALL.len()]; CPUS.len()];
        for shape in round.last_mut().unwrap() {
            *shape.last_mut().unwrap() = 8.0;
        }
        Results {
            speeds: speeds(&[round.clone(), round.clone()]),
            interrupts: round,
            instructions: vec![vec![31.0, 32.0, 33.0, 34.0, 35.0, 36.0]; Shape::ALL.len()],
            others: 0.25,
        }
    }

    #[test]
    fn the_median_is_in_the_middle() {
        let range = |least, median, most| Range {
            least,
            median,
            most,
        };
        assert_eq!(Range::of(vec![3.0, 1.0, 9.0]), range(1.0, 3.0, 9.0));
        assert_eq!(Range::of(vec![4.0, 1.0]), range(1.0, 2.5, 4.0));
        assert_eq!(Range::of(vec![7.0]), range(7.0, 7.0, 7.0));
    }

    #[test]
    fn speeds_are_relative_to_the_spin_lock_of_the_same_round_and_shape() {
        let shapes = |spin: f64| vec![vec![spin, 8.0, 8.0, 8.0, 8.0]; Shape::ALL.len()];
        let slow: Vec<_> = CPUS
            .iter()
            .map(|&cpus| shapes(f64::from(cpus) * 2.0))
            .collect();
        let fast: Vec<_> = CPUS.iter().map(|&cpus| shapes(f64::from(cpus))).collect();
        let speeds = speeds(&[slow, fast]);
        assert_eq!(speeds[0][0][0].least, 1.0);
        assert_eq!(speeds[0][0][0].most, 1.0);
        assert_eq!(speeds[2][0][3].median, 0.125);
        let mutex = speeds[1][1][0];
        assert_eq!((mutex.least, mutex.most), (0.125, 0.25));
    }
}
