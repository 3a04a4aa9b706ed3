//! A small HTTP/1.1 server that answers what a closure says and remembers what it was asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Asked {
    pub line: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }
}

/// What is answered; the flag closes the connection without saying so.
pub struct Answer {
    pub status: u16,
    pub headers: String,
    pub body: String,
    pub close: bool,
}

pub fn answer(status: u16, body: impl Into<String>) -> Answer {
    Answer {
        status,
        headers: String::new(),
        body: body.into(),
        close: false,
    }
}

type Handler = Arc<dyn Fn(usize, Asked) -> BoxFuture<'static, Answer> + Send + Sync>;

/// A running server; it ends with its runtime.
#[derive(Clone)]
pub struct Server {
    pub port: u16,
    pub asked: Arc<Mutex<Vec<Asked>>>,
    pub connections: Arc<AtomicUsize>,
}

impl Server {
    /// `handler` gets the number of the request, from 0.
    pub async fn start(handler: impl Fn(usize, &Asked) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_async(move |index, asked| {
            let answer = handler(index, &asked);
            Box::pin(std::future::ready(answer))
        })
        .await
    }

    pub async fn start_async(
        handler: impl Fn(usize, Asked) -> BoxFuture<'static, Answer> + Send + Sync + 'static,
    ) -> Self {
        Self::run(Arc::new(handler), None).await
    }

    pub async fn start_tls(
        acceptor: TlsAcceptor,
        handler: impl Fn(usize, &Asked) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let handler: Handler = Arc::new(move |index, asked| {
            let answer = handler(index, &asked);
            Box::pin(std::future::ready(answer))
        });
        Self::run(handler, Some(acceptor)).await
    }

    async fn run(handler: Handler, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let server = Self {
            port: listener.local_addr().expect("an address").port(),
            asked: Arc::default(),
            connections: Arc::default(),
        };
        let running = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                running.connections.fetch_add(1, Ordering::SeqCst);
                let (running, handler, tls) = (running.clone(), Arc::clone(&handler), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => running.serve(stream, &handler).await,
                        Some(acceptor) => {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                running.serve(stream, &handler).await;
                            }
                        }
                    }
                });
            }
        });
        server
    }

    async fn serve(&self, stream: impl AsyncRead + AsyncWrite + Unpin, handler: &Handler) {
        let mut stream = BufReader::new(stream);
        while let Some(asked) = read(&mut stream).await {
            let index = {
                let mut all = self.asked.lock();
                all.push(asked.clone());
                all.len() - 1
            };
            let answer = handler(index, asked).await;
            let text = format!(
                "HTTP/1.1 {} X\r\nContent-Length: {}\r\n{}\r\n{}",
                answer.status,
                answer.body.len(),
                answer.headers,
                answer.body
            );
            let stream = stream.get_mut();
            if stream.write_all(text.as_bytes()).await.is_err() {
                return;
            }
            let _ = stream.flush().await;
            if answer.close {
                return;
            }
        }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn lines(&self) -> Vec<String> {
        self.asked
            .lock()
            .iter()
            .map(|asked| asked.line.clone())
            .collect()
    }

    pub fn count(&self) -> usize {
        self.asked.lock().len()
    }
}

async fn read(stream: &mut BufReader<impl AsyncRead + Unpin>) -> Option<Asked> {
    let mut line = String::new();
    if stream.read_line(&mut line).await.ok()? == 0 {
        return None;
    }
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).await.ok()?;
        let Some((name, value)) = header.trim_end().split_once(": ") else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let length = headers
        .iter()
        .find(|(n, _)| n == "content-length")
        .map_or(0, |(_, v)| v.parse().expect("a length"));
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Asked {
        line: line.trim_end().trim_end_matches(" HTTP/1.1").to_owned(),
        headers,
        body: String::from_utf8(body).expect("UTF-8"),
    })
}

/// A proxy that opens one tunnel after another.
pub async fn tunnel_proxy() -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let targets: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&targets);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut stream = BufReader::new(stream);
            let Some(asked) = read(&mut stream).await else {
                continue;
            };
            let target = asked.line.trim_start_matches("CONNECT ").to_owned();
            seen.lock().push(target.clone());
            let mut target = TcpStream::connect(target).await.expect("the target");
            stream
                .get_mut()
                .write_all(b"HTTP/1.1 200 OK\r\n\r\n")
                .await
                .expect("written");
            tokio::spawn(async move {
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut target).await;
            });
        }
    });
    (port, targets)
}
