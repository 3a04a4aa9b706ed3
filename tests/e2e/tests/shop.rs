//! The shop: the demo itself, and a workload whose every event is looked at.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use millrace_e2e::{Capture, Ground, LogKind, PATIENCE, replay, table_rows};
use millrace_testkit::{Kafka, wait_until};

crate::on_both_logs!(
    the_demo_ends_with_its_verdict,
    every_change_is_an_event_in_order
);

/// `millrace demo`, as a user runs it.
async fn the_demo_ends_with_its_verdict(log: LogKind) -> Result<()> {
    let here = std::env::current_exe()?;
    let binary = match std::env::var_os("MILLRACE_BIN") {
        Some(given) => given.into(),
        None => here
            .ancestors()
            .nth(2)
            .context("target directory")?
            .join("millrace"),
    };
    ensure!(
        Path::new(&binary).is_file(),
        "{} is not built: cargo build -p millrace",
        binary.display()
    );
    let mut command = Command::new(binary);
    command
        .args(["demo", "--seconds", "6", "--rate", "100"])
        .stdin(Stdio::null());
    if log == LogKind::Kafka {
        command.args(["--bootstrap-servers", &Kafka::shared().await?.bootstrap()]);
    }
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    ensure!(output.status.success(), "{}:\n{out}\n{err}", output.status);
    for table in ["customers", "products", "orders", "order_lines"] {
        let line = out
            .lines()
            .find(|line| line.trim_start().starts_with(table))
            .with_context(|| format!("no verdict on {table}:\n{out}"))?;
        ensure!(line.ends_with(": equal"), "{line}");
    }
    for figure in ["change events", "commit → row in the copy", "worker:"] {
        ensure!(out.contains(figure), "no '{figure}':\n{out}");
    }
    // The last figures say how much was seen: a demo of nothing would be equal too.
    let changes: u64 = out
        .lines()
        .find_map(|line| line.trim().split_once(" changes in ")?.0.parse().ok())
        .context("the number of changes")?;
    ensure!(changes > 100, "only {changes} changes:\n{out}");
    Ok(())
}

const SCHEMA: &str = "CREATE TABLE counter (id int PRIMARY KEY, n bigint NOT NULL);\
    INSERT INTO counter SELECT id, 0 FROM generate_series(1, 5) AS id;\
    CREATE TABLE product (sku text PRIMARY KEY, title text NOT NULL, description text, stock int NOT NULL);\
    ALTER TABLE product REPLICA IDENTITY FULL;\
    CREATE TABLE line (order_id bigint, line int, sku text NOT NULL, PRIMARY KEY (order_id, line));\
    INSERT INTO product VALUES ('MUG', 'Mug', (SELECT string_agg(md5(n::text), '') FROM generate_series(1, 200) AS n), 100), ('POT', 'Pot', NULL, 3);";
const TABLES: [&str; 3] = ["counter", "product", "line"];

async fn every_change_is_an_event_in_order(log: LogKind) -> Result<()> {
    let ground = Ground::new(log, "shop", SCHEMA).await?;
    let worker = ground.start().await?;
    ground
        .create(&worker, "source", &ground.source(&TABLES))
        .await?;
    ground
        .create(&worker, "sink", &ground.sink(&TABLES))
        .await?;
    ground.wait_streaming().await?;
    for n in 1..=120u64 {
        let order = n;
        let mut sql = format!(
            "BEGIN; UPDATE counter SET n = n + 1 WHERE id = {}; UPDATE product SET stock = stock - 1 WHERE sku = 'MUG';",
            1 + n % 5
        );
        sql += &format!("INSERT INTO line VALUES ({order}, 1, 'MUG'), ({order}, 2, 'POT');");
        sql += &match n % 6 {
            // One of the key's columns changes.
            0 => format!("UPDATE line SET line = 7 WHERE order_id = {order} AND line = 2;"),
            1 => format!("DELETE FROM line WHERE order_id = {};", order.saturating_sub(5)),
            2 => "UPDATE product SET description = md5(description) || substr(description, 33) WHERE sku = 'MUG';".to_owned(),
            // The same row twice in one transaction.
            3 => "UPDATE product SET stock = stock + 10 WHERE sku = 'POT'; UPDATE product SET title = title || '!' WHERE sku = 'POT';".to_owned(),
            _ => String::new(),
        };
        ground.sql.batch_execute(&(sql + "COMMIT")).await?;
    }

    let mut capture = Capture::open(ground.log().await?, &ground.topics(&TABLES)).await?;
    let shapes: [(&str, &[&str], &[&str]); 3] = [
        ("counter", &["id"], &["id", "n"]),
        (
            "product",
            &["sku"],
            &["sku", "title", "description", "stock"],
        ),
        ("line", &["order_id", "line"], &["order_id", "line", "sku"]),
    ];
    for (table, key, columns) in shapes {
        let source = table_rows(&ground.sql, table, key, columns).await?;
        let what = format!("the copy of {table} equals it");
        wait_until(PATIENCE, &what, async || {
            Ok(
                (table_rows(&ground.sql, &ground.copy_of(table), key, columns).await? == source)
                    .then_some(()),
            )
        })
        .await?;
        capture.catch_up().await?;
        ensure!(
            replay(capture.of(&ground.topic(table)), columns)? == source,
            "the events of {table} do not lead to its rows"
        );
    }
    // Nothing of what these connectors are given goes unread.
    ensure!(
        !worker.log()?.contains("isn't a known config"),
        "{}",
        worker.log()?
    );
    in_commit_order(&capture)?;
    consecutive(&ground, &capture)?;
    // 120 orders of two lines.
    let lines = capture
        .of(&ground.topic("line"))
        .filter(|event| event.op() == "c" && event.source("txId").is_some())
        .count();
    ensure!(
        lines == 240 + 20,
        "{lines} creates, with those of 20 changed keys"
    );
    Ok(())
}

/// One session made all changes: in each topic they stand in the order of the WAL.
fn in_commit_order(capture: &Capture) -> Result<()> {
    let mut last: BTreeMap<&str, i64> = BTreeMap::new();
    for event in capture
        .events
        .iter()
        .filter(|event| !matches!(event.op(), "" | "r"))
    {
        let lsn = event.source("lsn").context("lsn")?;
        let before = last.insert(&event.topic, lsn).unwrap_or(0);
        // A change of a key is two events of one LSN.
        ensure!(
            lsn >= before,
            "{}@{}: {lsn} after {before}",
            event.topic,
            event.offset
        );
    }
    Ok(())
}

fn consecutive(ground: &Ground, capture: &Capture) -> Result<()> {
    let mut last: BTreeMap<i64, i64> = BTreeMap::new();
    for event in capture.of(&ground.topic("counter")) {
        let (id, n) = event.key["id"]
            .as_i64()
            .zip(event.after()["n"].as_i64())
            .context("a counter")?;
        match last.insert(id, n) {
            // Some of the changes may have been made before the snapshot.
            None => ensure!(event.op() == "r", "{id} begins with {event:?}"),
            Some(before) => ensure!(n == before + 1, "counter {id}: {n} after {before}"),
        }
    }
    ensure!(last.values().sum::<i64>() == 120, "{last:?}");
    Ok(())
}
