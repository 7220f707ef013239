//! Line charts as SVG, on white, so that they can be read on a page of any colour.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;

use crate::checkpoint::write_whole;

/// One coordinate system of a picture.
#[derive(Debug)]
pub struct Panel<'a> {
    pub title: &'a str,
    pub x: &'a str,
    pub y: &'a str,
    /// The range of y.
    pub range: (f64, f64),
    pub lines: Vec<Line>,
}

/// One line, or several that share a name and a colour.
#[derive(Clone, Debug)]
pub struct Line {
    /// In the legend; without one, the line is a companion of another: thin and pale.
    pub name: Option<String>,
    pub colour: (u8, u8, u8),
    pub points: Vec<(f64, f64)>,
}

/// Of one panel.
const SIZE: (u32, u32) = (860, 440);

/// Beside the lines, where it hides none of them.
const LEGEND: u32 = 215;

/// The panels side by side, in one file.
pub fn draw(path: &Path, panels: &[Panel<'_>]) -> Result<(), Box<dyn Error>> {
    let mut svg = String::new();
    {
        let area =
            SVGBackend::with_string(&mut svg, (SIZE.0 * panels.len() as u32, SIZE.1)).into_drawing_area();
        area.fill(&WHITE).map_err(|error| error.to_string())?;
        for (panel, area) in panels.iter().zip(area.split_evenly((1, panels.len()))) {
            draw_panel(panel, &area).map_err(|error| error.to_string())?;
        }
        area.present().map_err(|error| error.to_string())?;
    }
    write_whole(path, &[svg.as_bytes()])?;
    Ok(())
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type DrawError = DrawingAreaErrorKind<std::io::Error>;

fn draw_panel(panel: &Panel<'_>, area: &Area<'_>) -> Result<(), DrawError> {
    let points = || panel.lines.iter().flat_map(|line| &line.points);
    let end = points().map(|point| point.0).fold(1.0, f64::max);
    let mut chart = ChartBuilder::on(area)
        .caption(panel.title, ("sans-serif", 18))
        .margin(12)
        .margin_right(LEGEND)
        .x_label_area_size(44)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..end, panel.range.0..panel.range.1)?;
    chart
        .configure_mesh()
        .x_desc(panel.x)
        .y_desc(panel.y)
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| format!("{y:.1}"))
        .light_line_style(WHITE)
        .bold_line_style(RGBColor(225, 225, 225))
        .label_style(("sans-serif", 13))
        .axis_desc_style(("sans-serif", 14))
        .draw()?;
    for line in &panel.lines {
        let colour = RGBColor(line.colour.0, line.colour.1, line.colour.2);
        let points = line.points.iter().map(|&(x, y)| (x, y.clamp(panel.range.0, panel.range.1)));
        match &line.name {
            None => {
                chart.draw_series(LineSeries::new(points, colour.mix(0.3).stroke_width(1)))?;
            }
            Some(_) => {
                chart.draw_series(LineSeries::new(points, colour.stroke_width(2)))?;
            }
        }
    }
    legend(panel, area)
}

/// Beside the plot by hand: the library clips what its own legend has outside of it.
fn legend(panel: &Panel<'_>, area: &Area<'_>) -> Result<(), DrawError> {
    let left = (SIZE.0 - LEGEND + 10) as i32;
    let named = panel.lines.iter().filter_map(|line| line.name.as_ref().map(|name| (name, line.colour)));
    for (row, (name, (red, green, blue))) in (0..).zip(named) {
        let y = 52 + 20 * row;
        let colour = RGBColor(red, green, blue);
        area.draw(&PathElement::new(vec![(left, y), (left + 18, y)], colour.stroke_width(3)))?;
        area.draw(&Text::new(name.as_str(), (left + 24, y - 7), ("sans-serif", 13).into_font()))?;
    }
    Ok(())
}
