//! Bar charts as SVG, legible on light and on dark pages, and told in words to those who do not see them.

use std::fmt::Write;

/// A chart of groups of horizontal bars.
pub(super) struct Chart {
    pub(super) title: String,
    /// What a bar's length is.
    pub(super) axis: String,
    pub(super) groups: Vec<Group>,
}

pub(super) struct Group {
    pub(super) name: String,
    pub(super) bars: Vec<Bar>,
}

pub(super) struct Bar {
    pub(super) name: String,
    /// 1 is where the line stands; what is too long is cut, and marked.
    pub(super) length: f64,
    /// What is written after the bar.
    pub(super) label: String,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The one that the chart is about.
    Ours,
    Other,
    /// Not a client, but a bound.
    Bound,
}

/// Where a longer bar is cut, so that one that is hundreds of times as long as the others does not hide them.
const LENGTH_MAX: f64 = 5.0;
const WIDTH: f64 = 760.0;
const BARS_LEFT: f64 = 110.0;
/// Room for the label of the longest bar.
const LABEL_WIDTH: f64 = 150.0;
const BAR_HEIGHT: f64 = 14.0;
const BAR_STEP: f64 = 19.0;
const GROUP_HEAD: f64 = 34.0;
const TOP: f64 = 48.0;

/// Grey that has contrast on white and on black, and the other grey where the reader's page is dark.
const STYLE: &str = "text{font:12px sans-serif;fill:#57606a}.title{font-size:15px;font-weight:bold}.group{font-weight:bold}\
    .ours{fill:#1f6feb}.other{fill:#8c959f}.bound{fill:none;stroke:#8c959f;stroke-dasharray:3 2}.one{stroke:#8c959f;stroke-dasharray:2 3}\
    @media(prefers-color-scheme:dark){text{fill:#9da7b3}.ours{fill:#58a6ff}.other{fill:#6e7681}.bound{stroke:#6e7681}}";

impl Chart {
    pub(super) fn svg(&self) -> String {
        let height = TOP + self.groups.iter().map(Group::height).sum::<f64>() + 8.0;
        let longest = self.groups.iter().flat_map(|group| &group.bars).map(|bar| bar.length);
        let scale = (WIDTH - BARS_LEFT - LABEL_WIDTH) / longest.fold(1.0, f64::max).min(LENGTH_MAX);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\" \
             aria-labelledby=\"title desc\">\n<title id=\"title\">{}</title>\n<desc id=\"desc\">{}</desc>\n<style>{STYLE}</style>\n",
            escape(&self.title),
            escape(&self.words())
        );
        let mut line = |text: String| writeln!(svg, "{text}").expect("a string takes everything");
        line(format!("<text class=\"title\" x=\"8\" y=\"20\">{}</text>", escape(&self.title)));
        line(format!("<text x=\"8\" y=\"38\">{}</text>", escape(&self.axis)));
        let one = BARS_LEFT + scale;
        line(format!(
            "<line class=\"one\" x1=\"{one:.1}\" x2=\"{one:.1}\" y1=\"{TOP}\" y2=\"{:.1}\"/>",
            height - 8.0
        ));
        let mut top = TOP;
        for group in &self.groups {
            line(format!(
                "<text class=\"group\" x=\"8\" y=\"{:.1}\">{}</text>",
                top + 20.0,
                escape(&group.name)
            ));
            for (index, bar) in group.bars.iter().enumerate() {
                line(bar.svg(top + GROUP_HEAD - 6.0 + index as f64 * BAR_STEP, scale));
            }
            top += group.height();
        }
        line("</svg>".to_owned());
        svg
    }

    /// The whole chart, read aloud.
    fn words(&self) -> String {
        let bar = |bar: &Bar| format!("{} {}", bar.name, bar.label);
        let group = |group: &Group| {
            format!("{}: {}.", group.name, group.bars.iter().map(bar).collect::<Vec<_>>().join("; "))
        };
        format!("{}. {}", self.axis, self.groups.iter().map(group).collect::<Vec<_>>().join(" "))
    }
}

impl Group {
    fn height(&self) -> f64 {
        GROUP_HEAD + self.bars.len() as f64 * BAR_STEP
    }
}

impl Bar {
    fn svg(&self, top: f64, scale: f64) -> String {
        let class = match self.kind {
            Kind::Ours => "ours",
            Kind::Other => "other",
            Kind::Bound => "bound",
        };
        let (width, baseline) = (self.length.min(LENGTH_MAX) * scale, top + BAR_HEIGHT - 3.0);
        let cut = if self.length > LENGTH_MAX { "\u{2026} " } else { "" };
        format!(
            "<text x=\"{:.1}\" y=\"{baseline:.1}\" text-anchor=\"end\">{}</text>\
             <rect class=\"{class}\" x=\"{BARS_LEFT}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{BAR_HEIGHT}\" rx=\"2\"/>\
             <text x=\"{:.1}\" y=\"{baseline:.1}\">{cut}{}</text>",
            BARS_LEFT - 6.0,
            escape(&self.name),
            BARS_LEFT + width + 6.0,
            escape(&self.label)
        )
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
