//! A client process that is killed: everything it knew to be written is there.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use millrace_testkit::Kafka;

use crate::client::{batch, connect, producer, shared, topic, values};

const BOOTSTRAP: &str = "MILLRACE_TEST_CRASH_BOOTSTRAP";
const TOPIC: &str = "MILLRACE_TEST_CRASH_TOPIC";

/// The child's part: writes numbers for ever and prints how many are acknowledged without a gap. Does nothing in an ordinary run.
#[tokio::test(flavor = "multi_thread")]
async fn child_writes_until_killed() -> Result<()> {
    let (Ok(bootstrap), Ok(topic)) = (std::env::var(BOOTSTRAP), std::env::var(TOPIC)) else {
        return Ok(());
    };
    let log = connect(&bootstrap).await?;
    let mut producer = producer(&*log, &[]).await?;
    let mut acked = std::collections::BTreeSet::new();
    let (mut next, mut watermark, mut out) = (0u64, 0u64, Vec::new());
    loop {
        let records = batch(&topic, 0, (next..next + 100).map(|n| n.to_string()));
        let mut taken = 0;
        while taken < records.len() {
            let n = producer.send(&records, taken)?;
            taken += n;
            next += n as u64;
            producer.wait(Duration::from_millis(20)).await;
            producer.deliveries(&mut out);
            for delivery in out.drain(..) {
                delivery.result?;
                acked.insert(delivery.sequence);
            }
            while acked.remove(&watermark) {
                watermark += 1;
            }
            // Past the test harness, which keeps the output of a test until it ends.
            writeln!(std::io::stderr().lock(), "acked {watermark}")?;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_process_knew_to_be_written_is_there_in_order() -> Result<()> {
    let bootstrap = Kafka::shared().await?.bootstrap();
    let log = shared().await?;
    for wanted in [1, 2_000, 20_000] {
        let topic = topic(&*log, 1, &[]).await?;
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--exact", "crash::child_writes_until_killed", "--nocapture"])
            .env(BOOTSTRAP, &bootstrap)
            .env(TOPIC, &topic)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let stderr = child.stderr.take().context("the child's output")?;
        let acked = tokio::task::spawn_blocking(move || {
            let mut last = 0u64;
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if let Some(n) = line.strip_prefix("acked ").and_then(|n| n.parse().ok()) {
                    last = n;
                    if last >= wanted {
                        // SIGKILL on Unix.
                        child.kill().ok();
                    }
                }
            }
            child.wait().ok();
            last
        })
        .await?;
        assert!(acked >= wanted, "the child ended at {acked}");
        let written: Vec<u64> = values(&*log, &topic, 0)
            .await?
            .iter()
            .map(|v| v.parse().unwrap())
            .collect();
        assert!(
            written.len() as u64 >= acked,
            "{} written, {acked} acknowledged",
            written.len()
        );
        assert!(
            written.iter().copied().eq(0..written.len() as u64),
            "order or completeness is broken"
        );
    }
    Ok(())
}
