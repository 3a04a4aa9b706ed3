//! Requests sent as they are written: an HTTP library would correct the targets that matter here.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

/// All of one exchange.
const LIMIT: Duration = Duration::from_secs(30);

/// A kept connection to one server.
#[derive(Debug)]
pub(super) struct Connection {
    port: u16,
    stream: Option<BufReader<TcpStream>>,
}

#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) content_type: Option<String>,
    pub(super) body: Vec<u8>,
}

impl Connection {
    pub(super) fn new(port: u16) -> Self {
        Self { port, stream: None }
    }

    /// Sends a request and reads the answer; once more on a new connection when a kept one turns out closed.
    pub(super) async fn send(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(String, String)],
        body: Option<&[u8]>,
    ) -> Result<Response> {
        let mut request = format!(
            "{method} {target} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n",
            self.port
        );
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        if body.is_some() || matches!(method, "POST" | "PUT") {
            request.push_str(&format!(
                "Content-Length: {}\r\n",
                body.map_or(0, <[u8]>::len)
            ));
        }
        request.push_str("\r\n");
        let mut request = request.into_bytes();
        request.extend_from_slice(body.unwrap_or_default());
        let kept = self.stream.is_some();
        match tokio::time::timeout(LIMIT, self.exchange(method, &request))
            .await
            .context("no answer")?
        {
            Err(_) if kept => {
                self.stream = None;
                tokio::time::timeout(LIMIT, self.exchange(method, &request))
                    .await
                    .context("no answer")?
            }
            other => other,
        }
    }

    async fn exchange(&mut self, method: &str, request: &[u8]) -> Result<Response> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => BufReader::new(TcpStream::connect(("127.0.0.1", self.port)).await?),
        };
        stream.get_mut().write_all(request).await?;
        let mut line = String::new();
        ensure!(
            stream.read_line(&mut line).await? > 0,
            "the connection was closed"
        );
        let status = line
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .with_context(|| format!("{line:?} is no status line"))?;
        let (mut content_type, mut length, mut chunked, mut closes) = (None, None, false, false);
        loop {
            let mut header = String::new();
            ensure!(
                stream.read_line(&mut header).await? > 0,
                "the connection was closed in the headers"
            );
            let Some((name, value)) = header.trim_end().split_once(':') else {
                break;
            };
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "content-type" => content_type = Some(value.to_owned()),
                "content-length" => length = Some(value.parse::<usize>()?),
                "transfer-encoding" => chunked = value.eq_ignore_ascii_case("chunked"),
                "connection" => closes = value.eq_ignore_ascii_case("close"),
                _ => {}
            }
        }
        let mut body = Vec::new();
        if method == "HEAD" || status == 204 {
        } else if chunked {
            loop {
                let mut size = String::new();
                stream.read_line(&mut size).await?;
                let size = usize::from_str_radix(size.trim(), 16).context("the size of a chunk")?;
                let mut chunk = vec![0; size + 2];
                stream.read_exact(&mut chunk).await?;
                if size == 0 {
                    break;
                }
                body.extend_from_slice(&chunk[..size]);
            }
        } else if let Some(length) = length {
            body.resize(length, 0);
            stream.read_exact(&mut body).await?;
        } else if closes {
            stream.read_to_end(&mut body).await?;
        } else {
            bail!("the answer has no length");
        }
        if !closes {
            self.stream = Some(stream);
        }
        Ok(Response {
            status,
            content_type,
            body,
        })
    }
}
