//! The plot of speed over the number of CPUs: a panel for each shape.

use plotters::prelude::*;

use super::CPUS;
use super::results::{Range, Shape, Way};
use crate::error::{Error, Result};

const SIZE: (u32, u32) = (1080, 440);
/// The height of the strip with the names of the lines.
const LEGEND: u32 = 40;
const FONT: &str = "sans-serif";

/// Colours that colour-blind people can tell apart, too (Okabe and Ito 2008).
fn colour(way: Way) -> RGBColor {
    match way {
        Way::Spin => RGBColor(0, 114, 178),
        Way::Mutex => RGBColor(230, 159, 0),
        Way::Token => RGBColor(0, 158, 115),
        Way::Active => RGBColor(213, 94, 0),
        Way::Passive => RGBColor(204, 121, 167),
    }
}

/// The plot of the speeds by shape, way and number of CPUs.
pub fn svg(speeds: &[Vec<Vec<Range>>]) -> Result<String> {
    let mut text = String::new();
    draw(SVGBackend::with_string(&mut text, SIZE), speeds)
        .map_err(|error| Error::failed(format!("drawing the plot: {error}")))?;
    Ok(text)
}

type Drawn = std::result::Result<(), Box<dyn std::error::Error>>;

fn draw(backend: SVGBackend<'_>, speeds: &[Vec<Vec<Range>>]) -> Drawn {
    let root = backend.into_drawing_area();
    root.fill(&WHITE)?;
    let (panels, legend) = root.split_vertically(SIZE.1 - LEGEND);
    let bounds = bounds(speeds);
    let areas = panels.split_evenly((1, Shape::ALL.len()));
    for ((shape, speeds), area) in Shape::ALL.into_iter().zip(speeds).zip(areas) {
        let mut chart = ChartBuilder::on(&area)
            .caption(shape.title(), (FONT, 16))
            .margin(8)
            .x_label_area_size(36)
            .y_label_area_size(56)
            .build_cartesian_2d(
                -0.2..CPUS.len() as f64 - 0.8,
                (bounds.0..bounds.1).log_scale(),
            )?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .x_labels(CPUS.len() + 1)
            .x_label_formatter(&|place| label(*place))
            .y_label_formatter(&|speed| format!("{speed}"))
            .x_desc("CPUs")
            .y_desc("updates a second; spin mutex on 1 CPU = 1")
            .label_style((FONT, 12))
            .draw()?;
        for (way, speeds) in Way::ALL.into_iter().zip(speeds) {
            let colour = colour(way);
            let places = || (0..).map(f64::from);
            let medians = || places().zip(speeds.iter().map(|range| range.median));
            chart.draw_series(LineSeries::new(medians(), colour.stroke_width(2)))?;
            chart.draw_series(places().zip(speeds).map(|(place, range)| {
                PathElement::new(vec![(place, range.least), (place, range.most)], colour)
            }))?;
            chart.draw_series(medians().map(|point| Circle::new(point, 4, mark(way, colour))))?;
        }
    }
    draw_legend(&legend)
}

/// Passive messages have hollow marks: on one CPU they are the same as active ones.
fn mark(way: Way, colour: RGBColor) -> ShapeStyle {
    match way {
        Way::Passive => colour.stroke_width(2),
        _ => colour.filled(),
    }
}

fn draw_legend(area: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>) -> Drawn {
    let step = SIZE.0 as i32 / Way::ALL.len() as i32;
    for (way, left) in Way::ALL.into_iter().zip((24..).step_by(step as usize)) {
        let colour = colour(way);
        let line = vec![(left, 20), (left + 28, 20)];
        area.draw(&PathElement::new(line, colour.stroke_width(2)))?;
        area.draw(&Circle::new((left + 14, 20), 4, mark(way, colour)))?;
        area.draw(&Text::new(way.title(), (left + 36, 12), (FONT, 16)))?;
    }
    area.present()?;
    Ok(())
}

/// The powers of ten around all speeds.
fn bounds(speeds: &[Vec<Vec<Range>>]) -> (f64, f64) {
    let all = || speeds.iter().flatten().flatten();
    let least = all().fold(1.0, |least: f64, range| least.min(range.least));
    let most = all().fold(1.0, |most: f64, range| most.max(range.most));
    let power = |exponent: f64| 10f64.powf(exponent);
    (
        power(least.log10().floor()),
        power(most.log10().ceil().max(1.0)),
    )
}

/// The number of CPUs at a place of the axis, if there is one.
fn label(place: f64) -> String {
    CPUS.iter()
        .enumerate()
        .find(|&(index, _)| (place - index as f64).abs() < 0.01)
        .map(|(_, cpus)| cpus.to_string())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::results::tests::some;
    use super::{Shape, Way, bounds, label, svg};

    #[test]
    fn every_line_and_panel_is_there() {
        let svg = svg(&some().speeds).unwrap();
        assert!(
            svg.starts_with("<svg ") && svg.ends_with("</svg>\n"),
            "{svg}"
        );
        for title in Way::ALL
            .map(Way::title)
            .into_iter()
            .chain(Shape::ALL.map(Shape::title))
        {
            assert!(svg.contains(title), "{title} is missing");
        }
        // A line for each way in each panel and in the legend, at least.
        let least = Way::ALL.len() * (Shape::ALL.len() + 1);
        assert!(svg.matches("<polyline").count() >= least);
    }

    #[test]
    fn the_axis_has_room_for_all_and_names_whole_places() {
        assert_eq!(bounds(&some().speeds), (0.1, 10.0));
        assert_eq!(label(2.0), "4");
        assert_eq!(label(2.5), "");
        assert_eq!(label(4.0), "");
    }
}
