//! Prometheus' text format, version 0.0.4.

use std::collections::BTreeMap;
use std::fmt::Write;

/// Type of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Goes up and down.
    Gauge,
    /// Only goes up.
    Counter,
}

#[derive(Debug)]
struct Family {
    kind: Kind,
    help: String,
    samples: Vec<(String, f64)>,
}

/// Families of samples, rendered sorted by name with all samples of a family together.
#[derive(Debug, Default)]
pub struct Exposition {
    families: BTreeMap<String, Family>,
}

impl Exposition {
    /// Adds one sample.
    pub fn sample(
        &mut self,
        kind: Kind,
        name: &str,
        help: &str,
        labels: &[(&str, &str)],
        value: f64,
    ) {
        let family = self
            .families
            .entry(name.to_owned())
            .or_insert_with(|| Family {
                kind,
                help: help.to_owned(),
                samples: Vec::new(),
            });
        family.samples.push((label_text(labels), value));
    }

    /// The text.
    pub fn render(&self) -> String {
        let mut out = String::new();
        for (name, family) in &self.families {
            let kind = match family.kind {
                Kind::Gauge => "gauge",
                Kind::Counter => "counter",
            };
            // Writing to a String cannot fail.
            let _ = writeln!(
                out,
                "# HELP {name} {}\n# TYPE {name} {kind}",
                family.help.replace('\\', "\\\\").replace('\n', "\\n")
            );
            for (labels, value) in &family.samples {
                let _ = writeln!(out, "{name}{labels} {value}");
            }
        }
        out
    }
}

fn label_text(labels: &[(&str, &str)]) -> String {
    if labels.is_empty() {
        return String::new();
    }
    let pairs: Vec<_> = labels
        .iter()
        .map(|(name, value)| {
            format!(
                "{name}=\"{}\"",
                value
                    .replace('\\', "\\\\")
                    .replace('"', "\\\"")
                    .replace('\n', "\\n")
            )
        })
        .collect();
    format!("{{{}}}", pairs.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_together_and_labels_escaped() {
        let mut text = Exposition::default();
        text.sample(
            Kind::Counter,
            "b_total",
            "B",
            &[("connector", "a\"\\\n")],
            2.0,
        );
        text.sample(Kind::Gauge, "a", "A", &[], 0.5);
        text.sample(
            Kind::Counter,
            "b_total",
            "B",
            &[("connector", "c"), ("task", "0")],
            3.0,
        );
        assert_eq!(
            text.render(),
            "# HELP a A\n# TYPE a gauge\na 0.5\n# HELP b_total B\n# TYPE b_total counter\nb_total{connector=\"a\\\"\\\\\\n\"} 2\nb_total{connector=\"c\",task=\"0\"} 3\n"
        );
    }
}
