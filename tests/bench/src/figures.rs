//! Measured values beside what they must reach.

/// What a figure is compared with.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Must {
    AtLeast(f64),
    AtMost(f64),
}

#[derive(Debug)]
struct Figure {
    what: String,
    value: f64,
    unit: &'static str,
    must: Must,
}

/// All figures of a run.
#[derive(Debug, Default)]
pub(crate) struct Figures(Vec<Figure>);

impl Figures {
    pub(crate) fn add(
        &mut self,
        what: impl Into<String>,
        value: f64,
        unit: &'static str,
        must: Must,
    ) {
        let figure = Figure {
            what: what.into(),
            value,
            unit,
            must,
        };
        println!("  {}", line(&figure));
        self.0.push(figure);
    }

    pub(crate) fn print(&self) {
        println!("\nfigures");
        for figure in &self.0 {
            println!("  {}", line(figure));
        }
    }
}

fn line(f: &Figure) -> String {
    let (reached, must) = match f.must {
        Must::AtLeast(limit) => (f.value >= limit, format!("≥ {limit}")),
        Must::AtMost(limit) => (f.value <= limit, format!("≤ {limit}")),
    };
    let digits = if f.value.abs() >= 100.0 { 0 } else { 2 };
    format!(
        "{:<72} {:>9.digits$} {:<5} {must:<9} {}",
        f.what,
        f.value,
        f.unit,
        if reached { "reached" } else { "MISSED" }
    )
}
