//! The shop's business: orders come in and go out, prices change, customers leave.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use super::database::Database;

/// An order that was committed, for the latency probe.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Placed {
    /// Its id.
    pub(crate) order: i64,
    /// When the commit returned.
    pub(crate) at: Instant,
}

/// The shop while it is open: a task of its own makes changes at a rate.
#[derive(Debug)]
pub(crate) struct Shop {
    changes: Arc<AtomicU64>,
    close: CancellationToken,
    business: JoinHandle<Result<()>>,
    placed: mpsc::Receiver<Placed>,
}

impl Shop {
    /// Opens the shop; the first change comes at once.
    pub(crate) async fn open(database: &Database, rate: u32) -> Result<Self> {
        let changes = Arc::new(AtomicU64::new(0));
        let close = CancellationToken::new();
        let (sender, placed) = mpsc::channel(1024);
        let business = Business {
            client: database.connect().await?,
            rate: rate.max(1),
            started: Instant::now(),
            changes: Arc::clone(&changes),
            step: 0,
            random: 0x9e37_79b9_7f4a_7c15,
        };
        let business = tokio::spawn(business.run(close.clone(), sender));
        Ok(Self {
            changes,
            close,
            business,
            placed,
        })
    }

    /// Rows changed so far.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    /// The next order that was committed; `None` when the shop has closed by itself. Cancel-safe.
    pub(crate) async fn placed(&mut self) -> Option<Placed> {
        self.placed.recv().await
    }

    /// Ends the business after the transaction at hand; gives the number of rows changed.
    pub(crate) async fn close(mut self) -> Result<u64> {
        self.close.cancel();
        self.placed.close();
        self.business.await??;
        Ok(self.changes.load(Ordering::Relaxed))
    }
}

struct Business {
    client: Client,
    rate: u32,
    started: Instant,
    changes: Arc<AtomicU64>,
    step: u64,
    random: u64,
}

impl Business {
    async fn run(mut self, close: CancellationToken, placed: mpsc::Sender<Placed>) -> Result<()> {
        let mut changes = 0;
        while !close.is_cancelled() {
            let due = self.started + Duration::from_secs_f64(changes as f64 / f64::from(self.rate));
            tokio::select! {
                () = close.cancelled() => break,
                () = tokio::time::sleep_until(due.into()) => {}
            }
            let (rows, order) = self.step().await?;
            changes += rows;
            self.changes.store(changes, Ordering::Relaxed);
            if let Some(order) = order
                && placed.send(order).await.is_err()
            {
                break;
            }
        }
        Ok(())
    }

    /// One piece of business in one transaction: rows changed, and the order if one was placed.
    async fn step(&mut self) -> Result<(u64, Option<Placed>)> {
        self.step += 1;
        let customer = self.pick(3) + 1;
        let sql = match self.step % 12 {
            0 => format!("INSERT INTO customers (email, full_name) VALUES ('c{0}@example.com', 'Customer {0}')", self.step),
            1 => format!("UPDATE products SET stock = stock + {}, price = price + 0.01 WHERE sku = 'TEA-07'", self.pick(9)),
            // Half of the time the long text changes, otherwise it stays out of line and unsent.
            2 => "UPDATE products SET description = md5(description) || substr(description, 33) WHERE sku = 'TEA-07'".to_owned(),
            3 => format!("UPDATE orders SET status = 'shipped', gift = NOT gift WHERE id = (SELECT max(id) - {} FROM orders)", self.pick(3)),
            // A change of a primary key: the product and, by cascade, every line that names it.
            4 if self.step % 48 == 4 => "UPDATE products SET sku = CASE sku WHEN 'MUG-01' THEN 'MUG-02' ELSE 'MUG-01' END WHERE sku LIKE 'MUG-%'".to_owned(),
            // An order that is cancelled takes its lines along.
            5 => format!("DELETE FROM orders WHERE id = (SELECT min(id) FROM orders WHERE id > 2 + {})", self.pick(2)),
            6 => "DELETE FROM customers WHERE id = (SELECT c.id FROM customers c LEFT JOIN orders o ON o.customer_id = c.id \
                  WHERE o.id IS NULL AND c.id > 3 ORDER BY 1 LIMIT 1)"
                .to_owned(),
            _ => return self.place(customer).await,
        };
        Ok((self.client.execute(&sql, &[]).await?.max(1), None))
    }

    /// An order with two lines: one transaction over three tables.
    async fn place(&mut self, customer: u64) -> Result<(u64, Option<Placed>)> {
        let (mugs, pots) = (self.pick(4) + 1, self.pick(2) + 1);
        let row = self
            .client
            .query_one(
                &format!(
                    "WITH o AS (INSERT INTO orders (customer_id) VALUES ({customer}) RETURNING id), \
                     l AS (INSERT INTO order_lines SELECT o.id, 1, p.sku, {mugs}, p.price FROM o, products p WHERE p.sku LIKE 'MUG-%' \
                           UNION ALL SELECT o.id, 2, p.sku, {pots}, p.price FROM o, products p WHERE p.sku = 'POT-02' RETURNING 1), \
                     s AS (UPDATE products SET stock = stock - 1 WHERE sku = 'POT-02' RETURNING 1) \
                     SELECT id FROM o"
                ),
                &[],
            )
            .await?;
        Ok((
            4,
            Some(Placed {
                order: row.get(0),
                at: Instant::now(),
            }),
        ))
    }

    /// A number below `n`; the same sequence in each run.
    fn pick(&mut self, n: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % n
    }
}
