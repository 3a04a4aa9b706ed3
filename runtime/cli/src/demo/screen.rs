//! What the demo shows: a live view on a terminal, one line per second elsewhere.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use super::latency::Summary;

/// Figures of one moment.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) elapsed: Duration,
    pub(crate) total: Duration,
    pub(crate) changes: u64,
    pub(crate) events: u64,
    pub(crate) recent: Vec<String>,
    pub(crate) latency: Summary,
    pub(crate) slot_bytes: Option<u64>,
    pub(crate) cpu_percent: f64,
    pub(crate) rss_bytes: u64,
}

/// Draws on standard output.
#[derive(Debug)]
pub(crate) struct Screen {
    live: bool,
    /// Lines of the last live view, to be drawn over.
    drawn: usize,
    last_events: u64,
}

impl Screen {
    pub(crate) fn new() -> Self {
        Self {
            live: std::io::stdout().is_terminal(),
            drawn: 0,
            last_events: 0,
        }
    }

    /// Time between two views.
    pub(crate) fn interval(&self) -> Duration {
        if self.live {
            Duration::from_millis(250)
        } else {
            Duration::from_secs(1)
        }
    }

    /// A line that stays.
    pub(crate) fn note(&mut self, text: &str) {
        self.erase();
        println!("▸ {text}");
    }

    /// The view of this moment.
    pub(crate) fn draw(&mut self, now: &Snapshot) {
        let rate = (now.events - self.last_events) as f64 / self.interval().as_secs_f64();
        self.last_events = now.events;
        let millis =
            |d: Option<Duration>| d.map_or("–".to_owned(), |d| format!("{} ms", d.as_millis()));
        let slot = now
            .slot_bytes
            .map_or("–".to_owned(), |b| format!("{:.1} MB", b as f64 / 1e6));
        let figures = format!(
            "{:>3.0}/{} s  changes {}  events {}  {rate:.0}/s  commit→table p50 {} p99 {}  slot holds {slot}  worker {:.0} % CPU {:.0} MB",
            now.elapsed.as_secs_f64(),
            now.total.as_secs(),
            now.changes,
            now.events,
            millis(now.latency.p50),
            millis(now.latency.p99),
            now.cpu_percent,
            now.rss_bytes as f64 / 1e6
        );
        if !self.live {
            println!("{figures}");
            return;
        }
        self.erase();
        let width = terminal_width();
        let lines: Vec<String> = now
            .recent
            .iter()
            .map(String::as_str)
            .chain(["", &figures])
            .map(|l| l.chars().take(width).collect())
            .collect();
        let mut out = std::io::stdout().lock();
        for line in &lines {
            let _ = writeln!(out, "{line}");
        }
        let _ = out.flush();
        self.drawn = lines.len();
    }

    /// Leaves the last view where it is.
    pub(crate) fn finish(&mut self) {
        self.drawn = 0;
    }

    fn erase(&mut self) {
        if self.drawn > 0 {
            // Up to the first line of the view, then clear to the end of the screen.
            print!("\x1b[{}A\x1b[J", self.drawn);
            self.drawn = 0;
        }
    }
}

/// Columns as the shell says; 120 where it does not.
fn terminal_width() -> usize {
    std::env::var("COLUMNS")
        .ok()
        .and_then(|c| c.parse().ok())
        .unwrap_or(120)
}
