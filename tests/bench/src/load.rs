//! Requests over HTTP from connections that stay open: as many as the server answers, each connection waiting for its answer.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A server that does not answer for so long ends the load.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// What a load came to.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    pub(crate) requests: u64,
    pub(crate) wall: f64,
    /// Microseconds, sorted.
    latencies: Vec<u32>,
}

impl Load {
    pub(crate) fn per_second(&self) -> f64 {
        self.requests as f64 / self.wall
    }

    /// Milliseconds below which this part of all answers came.
    pub(crate) fn percentile(&self, part: f64) -> f64 {
        let at = (self.latencies.len() as f64 * part) as usize;
        self.latencies
            .get(at.min(self.latencies.len().saturating_sub(1)))
            .map_or(0.0, |micros| f64::from(*micros) / 1000.0)
    }
}

/// Sends the requests of `request` (connection, number) over `connections` connections until `until` has passed or it answers `None`. Any answer but 200 ends the load.
pub(crate) async fn load(
    port: u16,
    connections: usize,
    until: Duration,
    request: impl Fn(usize, u64) -> Option<Vec<u8>> + Send + Sync + 'static,
) -> Result<Load> {
    let request = std::sync::Arc::new(request);
    // On a thread of its own: the load shares its core with nothing else of this program.
    let ended = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, async move {
            let started = Instant::now();
            let tasks: Vec<_> = (0..connections)
                .map(|connection| {
                    let request = std::sync::Arc::clone(&request);
                    tokio::task::spawn_local(async move {
                        one(port, connection, started + until, &*request).await
                    })
                })
                .collect();
            let mut latencies = Vec::new();
            for task in tasks {
                latencies.extend(task.await??);
            }
            let wall = started.elapsed().as_secs_f64();
            latencies.sort_unstable();
            anyhow::Ok(Load {
                requests: latencies.len() as u64,
                wall,
                latencies,
            })
        })
    });
    ended.await?
}

async fn one(
    port: u16,
    connection: usize,
    end: Instant,
    request: &(impl Fn(usize, u64) -> Option<Vec<u8>> + ?Sized),
) -> Result<Vec<u32>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let mut latencies = Vec::with_capacity(1 << 16);
    let mut buffer = vec![0; 1 << 16];
    let mut number = 0;
    loop {
        let begun = Instant::now();
        if begun >= end {
            return Ok(latencies);
        }
        let Some(bytes) = request(connection, number) else {
            return Ok(latencies);
        };
        stream.write_all(&bytes).await?;
        tokio::time::timeout(ANSWER_WITHIN, answer(&mut stream, &mut buffer))
            .await
            .context("a request was not answered")??;
        latencies.push(u32::try_from(begun.elapsed().as_micros()).unwrap_or(u32::MAX));
        number += 1;
    }
}

/// Reads one answer: its status must be 200; its length is told by Content-Length, or by chunks.
async fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<()> {
    let mut filled = 0;
    let head = loop {
        if filled == buffer.len() {
            buffer.resize(buffer.len() * 2, 0);
        }
        let read = stream.read(&mut buffer[filled..]).await?;
        if read == 0 {
            bail!("the server has closed the connection");
        }
        let from = filled.saturating_sub(3);
        filled += read;
        let end = buffer[from..filled]
            .windows(4)
            .position(|w| w == b"\r\n\r\n");
        if let Some(end) = end {
            break from + end + 4;
        }
    };
    if !buffer.starts_with(b"HTTP/1.1 200") {
        bail!("answered {}", String::from_utf8_lossy(&buffer[..filled]));
    }
    let text = String::from_utf8_lossy(&buffer[..head]).to_ascii_lowercase();
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .map(|value| value.trim().parse::<usize>())
        .transpose()?;
    match length {
        Some(length) => {
            let mut rest = (head + length).saturating_sub(filled);
            while rest > 0 {
                let most = rest.min(buffer.len());
                let read = stream.read(&mut buffer[..most]).await?;
                if read == 0 {
                    bail!("the server has closed the connection within an answer");
                }
                rest -= read;
            }
        }
        None if text.contains("transfer-encoding: chunked") => {
            while !buffer[..filled].ends_with(b"0\r\n\r\n") {
                if filled == buffer.len() {
                    buffer.resize(buffer.len() * 2, 0);
                }
                let read = stream.read(&mut buffer[filled..]).await?;
                if read == 0 {
                    bail!("the server has closed the connection within an answer");
                }
                filled += read;
            }
        }
        None => bail!("the answer tells no length: {text}"),
    }
    Ok(())
}

/// A GET as a registry's client sends it.
pub(crate) fn get(path: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/vnd.schemaregistry.v1+json, application/vnd.schemaregistry+json, application/json\r\n\r\n"
    )
    .into_bytes()
}

/// A POST of JSON.
pub(crate) fn post(path: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/vnd.schemaregistry.v1+json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// The port of `http://host:port`.
pub(crate) fn port_of(url: &str) -> Result<u16> {
    let port = url.rsplit_once(':').context("the URL has a port")?.1;
    Ok(port.parse()?)
}
