//! Charts as inline SVG, and the confusion matrix as a shaded table.

use crate::markup::escape;

/// Number of colours in the style sheet, `c0` and so on; further series start again at the first.
const COLOURS: usize = 6;

/// The bars of one class, one for each run.
pub struct BarGroup {
    pub label: String,
    /// Length of each bar, in [0, 1].
    pub values: Vec<f64>,
}

/// A curve.
pub struct Curve {
    pub name: String,
    /// Points of the curve as x and y, with y in [0, 1].
    pub points: Vec<(f64, f64)>,
}

/// Width of the labels. All lengths in this file are in SVG units, which are pixels at full size.
const LABEL_WIDTH: f64 = 270.0;
const BAR_LENGTH: f64 = 360.0;
const BAR_HEIGHT: f64 = 12.0;
const GROUP_GAP: f64 = 8.0;
const LEGEND_LINE: f64 = 18.0;

/// Draws groups of horizontal bars, one below another, with their values and a legend.
pub fn bars(groups: &[BarGroup], runs: &[&str]) -> String {
    let group_height = BAR_HEIGHT * runs.len() as f64 + GROUP_GAP;
    let top = LEGEND_LINE * runs.len() as f64 + GROUP_GAP;
    let legend = legend(runs.iter().copied(), LABEL_WIDTH);
    let drawn = groups.iter().enumerate().map(|(index, group)| bar_group(group, top + group_height * index as f64));
    let body = legend + &drawn.collect::<String>();
    svg(LABEL_WIDTH + BAR_LENGTH + 60.0, top + group_height * groups.len() as f64, "bars of F1 per class", &body)
}

fn bar_group(group: &BarGroup, top: f64) -> String {
    let middle = top + BAR_HEIGHT * group.values.len() as f64 / 2.0 + 4.0;
    let label = text(LABEL_WIDTH - 8.0, middle, "end", &group.label);
    let bars = group.values.iter().enumerate().map(|(run, &value)| {
        let y = top + BAR_HEIGHT * run as f64;
        let length = BAR_LENGTH * value.clamp(0.0, 1.0);
        format!(
            "<rect class=\"c{}\" x=\"{LABEL_WIDTH}\" y=\"{y:.1}\" width=\"{length:.1}\" height=\"{:.1}\"/>\n{}",
            run % COLOURS,
            BAR_HEIGHT - 2.0,
            text(LABEL_WIDTH + length + 6.0, y + BAR_HEIGHT - 3.0, "start", &format!("{value:.2}"))
        )
    });
    label + &bars.collect::<String>()
}

const PLOT: (f64, f64) = (440.0, 260.0);
const MARGIN: f64 = 44.0;
/// Distance below which two labels of the x axis would overlap.
const X_LABEL_WIDTH: f64 = 46.0;

/// Draws curves over a common x axis, which starts at 0, with a legend.
pub fn lines(lines: &[Curve]) -> String {
    let x_max = lines.iter().flat_map(|line| &line.points).map(|point| point.0).fold(1.0, f64::max);
    let top = LEGEND_LINE * lines.len() as f64 + GROUP_GAP;
    let place = |(x, y): (f64, f64)| (MARGIN + PLOT.0 * x / x_max, top + PLOT.1 * (1.0 - y.clamp(0.0, 1.0)));
    let curves = lines.iter().enumerate().map(|(index, line)| curve(index, line, place));
    let xs = lines.first().map_or(&[][..], |line| &line.points);
    let body = legend(lines.iter().map(|line| line.name.as_str()), MARGIN)
        + &grid(place, x_max)
        + &x_labels(xs, place)
        + &curves.collect::<String>();
    svg(PLOT.0 + 2.0 * MARGIN, top + PLOT.1 + MARGIN, "curves of macro-F1", &body)
}

fn curve(index: usize, line: &Curve, place: impl Fn((f64, f64)) -> (f64, f64)) -> String {
    let colour = index % COLOURS;
    let points: Vec<(f64, f64)> = line.points.iter().map(|&point| place(point)).collect();
    let path: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let dots =
        points.iter().map(|(x, y)| format!("<circle class=\"c{colour}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"/>\n"));
    format!("<polyline class=\"s{colour}\" points=\"{}\"/>\n{}", path.join(" "), dots.collect::<String>())
}

fn grid(place: impl Fn((f64, f64)) -> (f64, f64), x_max: f64) -> String {
    let line = |step: u32| {
        let value = f64::from(step) / 5.0;
        let ((left, y), (right, _)) = (place((0.0, value)), place((x_max, value)));
        format!(
            "<line class=\"grid\" x1=\"{left:.1}\" y1=\"{y:.1}\" x2=\"{right:.1}\" y2=\"{y:.1}\"/>\n{}",
            text(left - 6.0, y + 4.0, "end", &format!("{value:.1}"))
        )
    };
    (0..=5).map(line).collect()
}

fn x_labels(points: &[(f64, f64)], place: impl Fn((f64, f64)) -> (f64, f64)) -> String {
    let bottom = place((0.0, 0.0)).1 + 16.0;
    let mut labels = String::new();
    let mut next = f64::INFINITY;
    // Labels start from the right, so that the largest value always has one.
    for &(x, _) in points.iter().rev() {
        let centre = place((x, 0.0)).0;
        if next - centre >= X_LABEL_WIDTH {
            labels += &text(centre, bottom, "middle", &format!("{x}"));
            next = centre;
        }
    }
    labels
}

fn legend<'a>(names: impl Iterator<Item = &'a str>, left: f64) -> String {
    let entry = |(index, name): (usize, &str)| {
        let y = LEGEND_LINE * index as f64;
        let swatch =
            format!("<rect class=\"c{}\" x=\"{left}\" y=\"{y}\" width=\"12\" height=\"12\"/>\n", index % COLOURS);
        swatch + &text(left + 18.0, y + 10.0, "start", name)
    };
    names.enumerate().map(entry).collect()
}

fn text(x: f64, y: f64, anchor: &str, content: &str) -> String {
    format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>\n", escape(content))
}

fn svg(width: f64, height: f64, name: &str, body: &str) -> String {
    format!(
        "<svg viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" role=\"img\" aria-label=\"{}\">\n{body}</svg>\n",
        escape(name)
    )
}

/// Renders a table of counts, shaded by their share of the row.
pub fn confusion(labels: &[&str], matrix: &[Vec<usize>]) -> String {
    let head: String = labels.iter().map(|label| format!("<th scope=\"col\">{}</th>", escape(label))).collect();
    let body: String = labels.iter().zip(matrix).map(|(label, row)| confusion_row(label, row)).collect();
    format!("<table class=\"matrix\">\n<thead><tr><th></th>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n")
}

fn confusion_row(label: &str, row: &[usize]) -> String {
    let total = row.iter().sum::<usize>().max(1);
    let cell = |&count: &usize| {
        // The limit of 0.6 keeps the text readable in both colour schemes.
        let shade = 0.6 * count as f64 / total as f64;
        format!("<td style=\"--shade:{shade:.3}\">{count}</td>")
    };
    format!("<tr><th scope=\"row\">{}</th>{}</tr>\n", escape(label), row.iter().map(cell).collect::<String>())
}
