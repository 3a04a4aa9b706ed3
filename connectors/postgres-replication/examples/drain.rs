//! Drains changes from a slot, decodes every column and does nothing else: the floor of what a consumer costs.
//!
//! `drain HOST PORT USER DATABASE SLOT PUBLICATION COUNT [option=value …]`
//!
//! Stops after COUNT inserts, updates and deletes, without confirming anything (so it can be run again), and prints
//! elapsed seconds and this process's CPU seconds. `lowat=off` switches batched reads off and `lowat=BYTES` sets their mark, `tls=on` encrypts,
//! `threads=N` sizes the runtime; other options go to the output plugin.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use pg_replication::pgoutput::{Cell, Decoder, Message, OldTuple, ProtoVersion, TupleView};
use pg_replication::{ConnectOptions, Frame, LowWater, Lsn, ReplicationConnection, SslMode};

#[derive(Default)]
struct Totals {
    changes: u64,
    cells: u64,
    value_bytes: u64,
    batches: u64,
    frames: u64,
}

impl Totals {
    fn row(&mut self, tuple: TupleView<'_>) {
        for cell in tuple.cells() {
            self.cells += 1;
            if let Cell::Text(range) | Cell::Binary(range) = cell {
                self.value_bytes += u64::from(range.len);
            }
        }
    }

    fn message(&mut self, message: &Message<'_>) {
        match message {
            Message::Insert(insert) => self.row(insert.new),
            Message::Update(update) => {
                if let Some(old) = update.old {
                    self.row(old.tuple());
                }
                self.row(update.new);
            }
            Message::Delete(delete) => {
                let (OldTuple::Key(old) | OldTuple::Full(old)) = delete.old;
                self.row(old);
            }
            _ => return,
        }
        self.changes += 1;
    }
}

/// User and system CPU seconds of this process.
fn cpu_seconds() -> Result<(f64, f64)> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // The second field, the program's name, is in parentheses and may hold spaces.
    let (_, after_name) = stat.rsplit_once(')').context("/proc/self/stat")?;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = |index: usize| -> Result<f64> {
        Ok(fields
            .get(index)
            .context("/proc/self/stat")?
            .parse::<f64>()?
            / 100.0)
    };
    Ok((ticks(11)?, ticks(12)?))
}

async fn drain(
    mut options: ConnectOptions,
    slot: &str,
    publication: &str,
    count: u64,
    more: &[(String, String)],
) -> Result<()> {
    let mut plugin = vec![("proto_version", "1"), ("publication_names", publication)];
    for (name, value) in more {
        match name.as_str() {
            "lowat" if value == "off" => options.low_water = LowWater::OFF,
            "lowat" => options.low_water.bytes = value.parse().context("lowat=BYTES")?,
            "tls" if value == "on" => options.ssl_mode = SslMode::Require,
            "threads" => {}
            _ => plugin.push((name, value)),
        }
    }
    let connection = ReplicationConnection::connect(&options).await?;
    let start = Instant::now();
    let mut stream = connection
        .start_replication(slot, Lsn::INVALID, &plugin)
        .await?;
    let mut decoder = Decoder::new(ProtoVersion::V1);
    let mut frames = Vec::new();
    let mut totals = Totals::default();
    let mut first = None;
    while totals.changes < count {
        let buffer = stream
            .next_batch(&mut frames, Duration::from_secs(1))
            .await?;
        totals.batches += 1;
        totals.frames += frames.len() as u64;
        for frame in &frames {
            if let Frame::XLogData(data) = frame {
                first.get_or_insert_with(|| start.elapsed());
                totals.message(&decoder.decode(&buffer[data.payload.as_range()])?);
            }
        }
    }
    let elapsed = start.elapsed().as_secs_f64();
    let (user, system) = cpu_seconds()?;
    let changes = totals.changes as f64;
    println!(
        "{} changes, {} columns, {} bytes of values in {} batches ({:.0} messages each)",
        totals.changes,
        totals.cells,
        totals.value_bytes,
        totals.batches,
        totals.frames as f64 / totals.batches as f64
    );
    println!(
        "elapsed {elapsed:.2} s (first change after {:.2} s), {:.0} changes/s, CPU {:.2} s (user {user:.2}, system {system:.2}), {:.2} µs per change",
        first.unwrap_or_default().as_secs_f64(),
        changes / elapsed,
        user + system,
        (user + system) * 1e6 / changes
    );
    Ok(())
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [
        host,
        port,
        user,
        database,
        slot,
        publication,
        count,
        more @ ..,
    ] = arguments.as_slice()
    else {
        bail!("usage: drain HOST PORT USER DATABASE SLOT PUBLICATION COUNT [option=value …]");
    };
    let more: Vec<(String, String)> = more
        .iter()
        .map(|option| {
            let (name, value) = option.split_once('=').context("options are name=value")?;
            Ok((name.to_owned(), value.to_owned()))
        })
        .collect::<Result<_>>()?;
    let port = port.parse().context("the port is not a number")?;
    let count = count.parse().context("the count is not a number")?;
    let mut options = ConnectOptions::new(host, port, user, database);
    options.ssl_mode = SslMode::Disable;
    let threads = more.iter().find(|(name, _)| name == "threads");
    let runtime = match threads.map(|(_, value)| value.parse()).transpose()? {
        Some(threads) if threads > 0 => tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .enable_all()
            .build()?,
        _ => tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?,
    };
    runtime.block_on(async {
        // Spawned, so that a multi-threaded runtime really uses its threads.
        let (slot, publication) = (slot.clone(), publication.clone());
        tokio::spawn(async move { drain(options, &slot, &publication, count, &more).await }).await?
    })
}
