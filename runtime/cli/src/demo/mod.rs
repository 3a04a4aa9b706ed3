//! `millrace demo`: a small shop in PostgreSQL, captured into a log and copied into tables, watched live and compared at the end.

mod compare;
mod database;
mod events;
mod format;
mod latency;
mod screen;
mod shop;
mod worker;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;

use self::compare::Verdict;
use self::database::Database;
use self::events::EventFeed;
use self::format::Format;
use self::latency::LatencyProbe;
use self::screen::{Screen, Snapshot};
use self::shop::Shop;
use self::worker::WorkerProcess;

/// Tables of the shop, in the order in which they can be compared.
const TABLES: [&str; 4] = ["customers", "products", "orders", "order_lines"];

/// Options of the demo.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// How long the shop is busy, in seconds; Ctrl-C ends it early.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Changes per second.
    #[arg(long, default_value_t = 300)]
    rate: u32,
    /// An existing database (`postgres://user:password@host:port/name`, wal_level=logical) instead of a throw-away server.
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// A Kafka cluster instead of the embedded log.
    #[arg(long, value_name = "HOST:PORT,…")]
    bootstrap_servers: Option<String>,
    /// Format of the records; all but json keep their schemas in a registry inside the worker.
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
    /// Folder with the connector files; by default the ones that are built in.
    #[arg(long, value_name = "DIR")]
    connectors: Option<PathBuf>,
}

/// Runs the demo; `true`: every table equals its copy.
pub(crate) async fn run(args: DemoArgs) -> Result<bool> {
    let mut screen = Screen::new();
    screen.note("starting PostgreSQL");
    let database = Database::open(args.database.as_deref()).await?;
    screen.note(&format!("PostgreSQL is at {}", database.address()));
    let result = with_database(&args, &database, &mut screen).await;
    let cleaned = database.close().await;
    let equal = result?;
    cleaned?;
    Ok(equal)
}

async fn with_database(args: &DemoArgs, database: &Database, screen: &mut Screen) -> Result<bool> {
    database.create_shop().await?;
    let worker = WorkerProcess::start(args.bootstrap_servers.as_deref(), args.format).await?;
    screen.note(&format!(
        "the worker answers at {} after {} ms, log: {}",
        worker.url(),
        worker.started_in().as_millis(),
        worker.log_name()
    ));
    if args.format.needs_registry() {
        screen.note(&format!(
            "the schema registry inside it answers at {}",
            worker.registry_url()
        ));
    }
    let result = with_worker(args, database, &worker, screen).await;
    let stopped = worker.stop().await;
    let equal = result?;
    stopped?;
    Ok(equal)
}

async fn with_worker(
    args: &DemoArgs,
    database: &Database,
    worker: &WorkerProcess,
    screen: &mut Screen,
) -> Result<bool> {
    let ends = events::topic_ends(worker).await?;
    for (name, built_in) in [
        (
            "shop-source",
            include_str!("../../../../configs/connectors/shop-source.json"),
        ),
        (
            "shop-sink",
            include_str!("../../../../configs/connectors/shop-sink.json"),
        ),
    ] {
        let text = match &args.connectors {
            Some(folder) => std::fs::read_to_string(folder.join(format!("{name}.json")))
                .with_context(|| format!("reading {name}.json"))?,
            None => built_in.to_owned(),
        };
        let (mut body, mut changed) = database.connector_json(&text)?;
        if args.format.needs_registry() {
            args.format.put_into(&mut body, worker.registry_url());
            if !changed.is_empty() {
                changed.push_str(", ");
            }
            changed.push_str("key.converter, value.converter");
        }
        worker.submit(&body).await?;
        let changed = if changed.is_empty() {
            String::new()
        } else {
            format!(" (with {changed})")
        };
        screen.note(&format!("POST /connectors {name}.json{changed}"));
    }
    worker.wait_running("shop-source").await?;
    worker.wait_running("shop-sink").await?;

    let mut feed = EventFeed::open(worker, &ends).await?;
    let probe = LatencyProbe::start(database).await?;
    let mut shop = Shop::open(database, args.rate).await?;
    let started = Instant::now();
    let end = started + Duration::from_secs(args.seconds);
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    let mut next_frame = started;
    let mut usage = worker.usage()?;
    loop {
        let now = Instant::now();
        if now >= end {
            break;
        }
        if now >= next_frame {
            next_frame += screen.interval();
            let current = worker.usage()?;
            let cpu = current.cpu_seconds - usage.cpu_seconds;
            screen.draw(&Snapshot {
                elapsed: started.elapsed(),
                total: Duration::from_secs(args.seconds),
                changes: shop.changes(),
                events: feed.total(),
                recent: feed.recent(),
                latency: probe.summary(),
                slot_bytes: database.slot_bytes("shop").await?,
                cpu_percent: cpu * 100.0 / screen.interval().as_secs_f64(),
                rss_bytes: current.rss_bytes,
            });
            usage = current;
        }
        tokio::select! {
            biased;
            _ = &mut interrupted => {
                screen.note("interrupted: the shop closes early");
                break;
            }
            order = shop.placed() => match order {
                Some(order) => probe.expect(order),
                None => break,
            },
            read = feed.read() => read?,
            () = tokio::time::sleep_until(next_frame.min(end).into()) => {}
        }
    }
    let busy = started.elapsed();
    let changes = shop.close().await?;
    screen.note(&format!(
        "the shop is closed after {changes} changes; waiting until the copy is level"
    ));
    let usage = worker.usage()?;
    let verdict = wait_level(database, worker, &mut feed).await?;
    let latency = probe.stop().await;
    screen.finish();
    report(&verdict, changes, feed.total(), busy, latency, usage);
    Ok(verdict.is_equal())
}

/// Compares again and again until source and copy are equal, or nothing has moved for a while.
async fn wait_level(
    database: &Database,
    worker: &WorkerProcess,
    feed: &mut EventFeed,
) -> Result<Verdict> {
    let mut last = (0, 0);
    let mut quiet_since = Instant::now();
    loop {
        let verdict = compare::compare(database).await?;
        if verdict.is_equal() {
            return Ok(verdict);
        }
        // Reading on also shows whether anything still arrives.
        let _ = tokio::time::timeout(Duration::from_millis(200), feed.read()).await;
        let moved = (feed.total(), verdict.rows_equal());
        if moved != last {
            last = moved;
            quiet_since = Instant::now();
        }
        for connector in ["shop-source", "shop-sink"] {
            if let Some(trace) = worker.failure(connector).await? {
                bail!("{connector} has failed: {trace}");
            }
        }
        if quiet_since.elapsed() > Duration::from_secs(20) {
            return Ok(verdict);
        }
    }
}

fn report(
    verdict: &Verdict,
    changes: u64,
    events: u64,
    busy: Duration,
    latency: latency::Summary,
    usage: worker::Usage,
) {
    println!();
    for table in &verdict.tables {
        let state = if table.differences.is_empty() {
            "equal"
        } else {
            "DIFFERENT"
        };
        println!(
            "  {:<12} {:>7} rows, {:>7} in the copy: {state}",
            table.name, table.source_rows, table.copy_rows
        );
        for difference in table.differences.iter().take(5) {
            println!("      {difference}");
        }
    }
    println!();
    println!(
        "  {changes} changes in {:.1} s, {events} change events",
        busy.as_secs_f64()
    );
    if let (Some(p50), Some(p99)) = (latency.p50, latency.p99) {
        println!(
            "  commit → row in the copy: p50 {} ms, p99 {} ms ({} orders, looked at every 5 ms)",
            p50.as_millis(),
            p99.as_millis(),
            latency.count
        );
    }
    let per_change = if events > 0 {
        usage.cpu_seconds * 1e6 / events as f64
    } else {
        0.0
    };
    println!(
        "  worker: {:.2} CPU s ({per_change:.0} µs per event, source, sink and start together), {:.0} MB now, {:.0} MB at most",
        usage.cpu_seconds,
        usage.rss_bytes as f64 / 1e6,
        usage.peak_rss_bytes as f64 / 1e6
    );
    println!();
    println!(
        "  {}",
        if verdict.is_equal() {
            "verdict: every row of every table is equal to its copy"
        } else {
            "verdict: NOT equal"
        }
    );
}
