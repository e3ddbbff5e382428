//! The plot of messages per operation over the number of nodes.

use darner_sim::scale::{Cost, Work};
use plotters::prelude::*;

/// Numbers of nodes that are drawn.
pub const NODES: [u16; 8] = [3, 8, 16, 32, 64, 128, 256, 1000];

const SIZE: (u32, u32) = (800, 480);
const FONT: &str = "sans-serif";

/// Colours that colour-blind people can tell apart, too (Okabe and Ito 2008).
fn colour(work: Work) -> RGBColor {
    match work {
        Work::Neighbours => RGBColor(0, 114, 178),
        Work::Mixed => RGBColor(213, 94, 0),
        Work::ReadMostly => RGBColor(0, 158, 115),
    }
}

/// The plot of what each kind of work costs at each of [`NODES`].
pub fn svg(costs: &[(Work, Vec<Cost>)]) -> Result<String, String> {
    let mut text = String::new();
    draw(SVGBackend::with_string(&mut text, SIZE), costs)
        .map_err(|error| format!("cannot draw the plot: {error}"))?;
    Ok(text)
}

fn draw(
    backend: SVGBackend<'_>,
    costs: &[(Work, Vec<Cost>)],
) -> Result<(), Box<dyn std::error::Error>> {
    let root = backend.into_drawing_area();
    root.fill(&WHITE)?;
    let most = costs
        .iter()
        .flat_map(|(_, costs)| costs)
        .fold(0.0_f64, |most, cost| most.max(cost.messages_per_op));
    let mut chart = ChartBuilder::on(&root)
        .caption("Messages per operation", (FONT, 18))
        .margin(10)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d((2.5..1200.0).log_scale(), 0.0..most * 1.1)?;
    chart
        .configure_mesh()
        .x_desc("nodes")
        .y_desc("messages per operation of a thread")
        .x_label_formatter(&|nodes| format!("{nodes:.0}"))
        .label_style((FONT, 13))
        .draw()?;
    for (work, costs) in costs {
        let points = || {
            let nodes = NODES.into_iter().map(f64::from);
            nodes.zip(costs.iter().map(|cost| cost.messages_per_op))
        };
        let colour = colour(*work);
        chart
            .draw_series(LineSeries::new(points(), colour.stroke_width(2)))?
            .label(work.name())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(2)));
        chart.draw_series(points().map(|point| Circle::new(point, 4, colour.filled())))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .label_font((FONT, 14))
        .background_style(WHITE)
        .draw()?;
    root.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_there() {
        let cost = |number: usize| Cost {
            messages_per_op: number as f64,
            home_bytes_per_page: 1.0,
        };
        let costs = Work::ALL.map(|work| (work, (1..=NODES.len()).map(cost).collect()));
        let svg = svg(&costs).unwrap();
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        assert!(svg.matches("<polyline").count() >= 2 * Work::ALL.len());
        for work in Work::ALL {
            let shown = work.name().replace('\'', "&apos;");
            assert!(svg.contains(&shown) || svg.contains(work.name()), "{svg}");
        }
    }
}
