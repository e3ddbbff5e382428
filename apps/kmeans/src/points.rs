//! Points, and sums of them.

/// Coordinates of a point.
pub const DIMENSIONS: usize = 3;
/// How far apart points are at most, in each direction.
const SPACE: i64 = 1 << 20;
/// How far from the middle of its cloud a point is at most, in each direction.
const CLOUD: i64 = 1 << 18;

/// A point, in whole numbers.
pub type Point = [i64; DIMENSIONS];

/// That many points in that many clouds.
pub fn random(points: usize, clouds: usize, seed: u64) -> Vec<Point> {
    let mut random = fastrand::Rng::with_seed(seed);
    let middles: Vec<Point> = (0..clouds)
        .map(|_| [(); DIMENSIONS].map(|()| random.i64(0..SPACE)))
        .collect();
    let mut point = |_| {
        let middle = middles[random.usize(..clouds)];
        middle.map(|at| at + random.i64(-CLOUD..=CLOUD))
    };
    (0..points).map(&mut point).collect()
}

/// Which centre is nearest; the first of several.
pub fn nearest(point: &Point, centres: &[Point]) -> usize {
    let distance = |centre: &Point| -> i64 {
        let squares = point.iter().zip(centre).map(|(a, b)| (a - b) * (a - b));
        squares.sum()
    };
    let distances = (0..)
        .zip(centres)
        .map(|(number, centre)| (distance(centre), number));
    distances.min().map_or(0, |(_, number)| number)
}

/// For each group, the sum of its points and how many they are.
pub struct Sums(Vec<(Point, i64)>);

impl Sums {
    /// Of no points.
    pub fn new(groups: usize) -> Self {
        Self(vec![([0; DIMENSIONS], 0); groups])
    }

    /// Adds a point of a group.
    pub fn add(&mut self, group: usize, point: &Point) {
        let (sum, count) = &mut self.0[group];
        add(sum, point);
        *count += 1;
    }

    /// Adds what others have added up.
    pub fn merge(&mut self, others: &Self) {
        for ((sum, count), (other, more)) in self.0.iter_mut().zip(&others.0) {
            add(sum, other);
            *count += more;
        }
    }

    /// The mean of each group; where there is none, what it was before.
    pub fn means(&self, before: &[Point]) -> Vec<Point> {
        let mean = |(&(sum, count), &before): (&(Point, i64), &Point)| match count {
            0 => before,
            _ => sum.map(|total| total / count),
        };
        self.0.iter().zip(before).map(mean).collect()
    }
}

fn add(sum: &mut Point, point: &Point) {
    for (total, coordinate) in sum.iter_mut().zip(point) {
        *total += coordinate;
    }
}
