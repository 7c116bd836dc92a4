//! The few shapes that the charts are made of, as inline SVG. Colours are classes of the page's style sheet.

use std::fmt::Write as _;

/// Where a text stands relative to its point.
#[derive(Clone, Copy)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

/// A drawing in the making; units are pixels at full width.
pub struct Canvas {
    width: f64,
    height: f64,
    body: String,
}

impl Canvas {
    pub fn new(width: f64, height: f64) -> Self {
        Self { width, height, body: String::new() }
    }

    pub fn text(&mut self, x: f64, y: f64, anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = escape(text);
        self.add(format_args!("<text x='{x:.1}' y='{y:.1}' text-anchor='{anchor}' class='{class}'>{text}</text>"));
    }

    /// `note` is shown when the pointer rests on it.
    pub fn rect(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), class: &str, note: &str) {
        let note = escape(note);
        self.add(format_args!(
            "<rect x='{x:.1}' y='{y:.1}' width='{width:.1}' height='{height:.1}' rx='2' class='{class}'><title>{note}</title></rect>"
        ));
    }

    pub fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), class: &str) {
        self.add(format_args!("<line x1='{x1:.1}' y1='{y1:.1}' x2='{x2:.1}' y2='{y2:.1}' class='{class}'/>"));
    }

    pub fn polyline(&mut self, points: &[(f64, f64)], class: &str) {
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        self.add(format_args!("<polyline points='{}' class='{class}'/>", points.join(" ")));
    }

    pub fn dot(&mut self, (x, y): (f64, f64), radius: f64, class: &str, note: &str) {
        let note = escape(note);
        self.add(format_args!(
            "<circle cx='{x:.1}' cy='{y:.1}' r='{radius:.1}' class='{class}'><title>{note}</title></circle>"
        ));
    }

    /// The drawing; `label` says to a screen reader what it shows.
    pub fn finish(self, label: &str) -> String {
        let Self { width, height, body } = self;
        let label = escape(label);
        format!("<svg viewBox='0 0 {width:.0} {height:.0}' role='img' aria-label='{label}'>\n{body}</svg>\n")
    }

    fn add(&mut self, shape: std::fmt::Arguments<'_>) {
        // writing to a String cannot fail
        let _ = writeln!(self.body, "{shape}");
    }
}

/// Text as HTML and SVG take it, in content and in quoted attributes.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// `text` in at most `most` characters.
pub fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_bench_is_called_cannot_break_the_page() {
        let mut canvas = Canvas::new(10.0, 10.0);
        canvas.text(0.0, 0.0, Anchor::Start, "t", "<script>'\"&");
        let svg = canvas.finish("a 'quoted' label");
        assert!(svg.contains("&lt;script&gt;&#39;&quot;&amp;") && svg.contains("a &#39;quoted&#39; label"), "{svg}");
    }

    #[test]
    fn long_names_are_cut_where_people_see_it() {
        assert_eq!(shortened("aws-lc-rs", 9), "aws-lc-rs");
        assert_eq!(shortened("aws-lc-rs+", 9), "aws-lc-r…");
    }
}
