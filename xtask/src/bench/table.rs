//! Figures as an aligned table, for people.

use super::Figure;

const HEADER: [&str; 8] = [
    "figure", "value", "unit", "peer", "value", "ratio", "goal", "reached",
];
/// Which columns hold numbers, and so stand to the right.
const IS_NUMBER: [bool; 8] = [false, true, false, false, true, true, false, false];

/// The table, a line for the header and one a figure.
pub fn aligned(figures: &[Figure]) -> String {
    let mut rows = vec![HEADER.map(str::to_owned)];
    rows.extend(figures.iter().map(cells));
    let widths: Vec<usize> = (0..HEADER.len())
        .map(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0))
        .collect();
    rows.iter()
        .map(|row| {
            let cells: Vec<String> = (row.iter().zip(&widths).zip(IS_NUMBER))
                .map(|((cell, &width), is_number)| match is_number {
                    true => format!("{cell:>width$}"),
                    false => format!("{cell:<width$}"),
                })
                .collect();
            format!("{}\n", cells.join("  ").trim_end())
        })
        .collect()
}

fn cells(figure: &Figure) -> [String; 8] {
    let shown = |value: Option<f64>| value.map(number).unwrap_or_default();
    [
        figure.name.clone().into_owned(),
        number(figure.value),
        figure.unit.to_owned(),
        figure.peer.map_or("", |peer| peer.name).to_owned(),
        shown(figure.peer.map(|peer| peer.value)),
        figure
            .ratio()
            .map(|ratio| format!("{ratio:.3}"))
            .unwrap_or_default(),
        figure.goal.map(|goal| goal.to_string()).unwrap_or_default(),
        match figure.is_reached() {
            Some(true) => "yes",
            Some(false) => "NO",
            None => "",
        }
        .to_owned(),
    ]
}

/// Whole numbers as such, others to a thousandth.
fn number(value: f64) -> String {
    match value.fract() == 0.0 {
        true => format!("{value}"),
        false => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::figure::{Figure, Goal};
    use super::aligned;

    #[test]
    fn columns_are_aligned_and_empty_ones_leave_no_blanks_at_the_end() {
        let figures = [
            Figure::new("boot/long_name", 12_345.0, "bytes")
                .peer("hermit", 5.5)
                .goal(Goal::Under(9.0)),
            Figure::new("boot/b", 1.5, "MiB"),
        ];
        assert_eq!(
            aligned(&figures),
            "figure          value  unit   peer    value  ratio  goal  reached\n\
             boot/long_name  12345  bytes  hermit  5.500  0.000  < 9   NO\n\
             boot/b          1.500  MiB\n"
        );
    }
}
