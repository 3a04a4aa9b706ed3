//! Binding, advertising, waiting, stopping.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use millrace_rest::{BoundServer, ListenerUri, RestOptions, RestServer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tracing::field::{Field, Visit};
use tracing::span;

use crate::client::{call, get, reply};
use crate::fake_herder::FakeHerder;
use crate::{free_port, serve};

/// Long enough for anything that is going to happen.
const DEADLINE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_taken_port_is_named_with_the_remedy() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port();
    let options = RestOptions {
        listeners: vec![ListenerUri {
            host: "127.0.0.1".into(),
            port,
        }],
        ..RestOptions::default()
    };
    let error = RestServer::start(options, Arc::new(FakeHerder::default()))
        .await
        .expect_err("the port is taken");
    assert_eq!(
        error.to_string(),
        format!(
            "cannot listen on http://127.0.0.1:{port} (configuration listeners): another process has this port: stop it, or configure another port (0 takes a free one)"
        )
    );
    assert!(std::error::Error::source(&error).is_some());
}

#[tokio::test]
async fn a_foreign_address_is_named() {
    let options = RestOptions {
        listeners: vec![ListenerUri {
            host: "192.0.2.1".into(),
            port: 0,
        }],
        ..RestOptions::default()
    };
    let error = BoundServer::bind(options)
        .await
        .expect_err("not this machine's")
        .to_string();
    assert!(
        error.starts_with("cannot listen on http://192.0.2.1:0 (configuration listeners): "),
        "{error}"
    );
}

#[tokio::test]
async fn the_advertised_address_is_the_configured_or_the_first_listener_s() {
    let bind = |options: RestOptions| async { BoundServer::bind(options).await.unwrap() };
    let plain = bind(RestOptions {
        listeners: vec![free_port(), free_port()],
        ..RestOptions::default()
    })
    .await;
    let port = plain.addresses()[0].port();
    assert_ne!(port, 0);
    assert_eq!(
        (plain.worker_id(), plain.advertised_url()),
        (
            format!("127.0.0.1:{port}").as_str(),
            format!("http://127.0.0.1:{port}/").as_str()
        )
    );
    assert_eq!(plain.addresses().len(), 2);

    let configured = RestOptions {
        listeners: vec![free_port()],
        advertised_host: Some("w1.example".into()),
        advertised_port: Some(81),
        ..RestOptions::default()
    };
    assert_eq!(bind(configured).await.worker_id(), "w1.example:81");

    let everywhere = bind(RestOptions {
        listeners: vec![ListenerUri {
            host: String::new(),
            port: 0,
        }],
        ..RestOptions::default()
    })
    .await;
    assert!(everywhere.addresses()[0].ip().is_unspecified());
    assert!(
        !everywhere.worker_id().starts_with(':') && !everywhere.worker_id().starts_with("0.0.0.0"),
        "{}",
        everywhere.worker_id()
    );
}

#[tokio::test]
async fn requests_wait_between_binding_and_serving() {
    let bound = BoundServer::bind(RestOptions {
        listeners: vec![free_port()],
        ..RestOptions::default()
    })
    .await
    .unwrap();
    let address = bound.addresses()[0];
    let early = tokio::spawn(async move { get(address, "/").await });
    let _server = bound.serve(Arc::new(FakeHerder::default()));
    assert_eq!(
        tokio::time::timeout(DEADLINE, early)
            .await
            .unwrap()
            .unwrap()
            .status,
        200
    );
}

#[tokio::test]
async fn a_herder_that_does_not_answer_is_a_timeout() {
    let fixture = serve(RestOptions {
        request_timeout: Duration::from_millis(50),
        ..RestOptions::default()
    })
    .await;
    let reply = get(fixture.address, "/connectors/hangs").await;
    assert_eq!(
        (reply.status, reply.body.as_str()),
        (500, r#"{"error_code":500,"message":"Request timed out"}"#)
    );
}

#[tokio::test]
async fn a_panic_costs_one_request() {
    let fixture = serve(RestOptions::default()).await;
    let mut stream = TcpStream::connect(fixture.address).await.unwrap();
    stream.write_all(b"GET /connectors/panics HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    let first = reply(&bytes);
    assert_eq!(first.status, 500);
    assert!(
        first.body.contains(r#""error_code":500"#) && first.body.contains("HTTP/1.1 200 OK"),
        "{}",
        first.body
    );
}

#[tokio::test]
async fn stopping_lets_requests_finish_and_refuses_new_ones() {
    let fixture = serve(RestOptions::default()).await;
    let address = fixture.address;
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        .await
        .unwrap();
    let mut first = [0; 16];
    idle.read_exact(&mut first).await.unwrap();

    let slow = tokio::spawn(async move { get(address, "/connectors/hangs").await });
    fixture.herder.hanging.notified().await;
    let stop = tokio::spawn(fixture.server.stop());
    // The idle connection is closed, so the listener is by then.
    tokio::time::timeout(DEADLINE, idle.read_to_end(&mut Vec::new()))
        .await
        .unwrap()
        .unwrap();
    tokio::time::timeout(DEADLINE, async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await
        }
    })
    .await
    .unwrap();
    assert!(!stop.is_finished());
    fixture.herder.go_on.notify_one();
    assert_eq!(slow.await.unwrap().status, 200);
    tokio::time::timeout(DEADLINE, stop).await.unwrap().unwrap();
}

#[tokio::test]
async fn stopping_does_not_wait_for_ever() {
    let fixture = serve(RestOptions {
        stop_timeout: Duration::from_millis(50),
        ..RestOptions::default()
    })
    .await;
    let address = fixture.address;
    let stuck = tokio::spawn(async move { get(address, "/connectors/hangs").await });
    fixture.herder.hanging.notified().await;
    tokio::time::timeout(DEADLINE, fixture.server.stop())
        .await
        .unwrap();
    let reply = stuck.await.unwrap();
    assert_eq!(
        (reply.status, reply.json()["message"].as_str()),
        (503, Some("The worker is shutting down"))
    );
}

#[tokio::test]
async fn a_dropped_server_stops() {
    let fixture = serve(RestOptions::default()).await;
    drop(fixture.server);
    let gone = async {
        while TcpStream::connect(fixture.address).await.is_ok() {
            tokio::task::yield_now().await
        }
    };
    tokio::time::timeout(DEADLINE, gone).await.unwrap();
}

#[tokio::test]
async fn connections_beyond_the_limit_wait() {
    let fixture = serve(RestOptions {
        max_connections: 1,
        ..RestOptions::default()
    })
    .await;
    let address = fixture.address;
    let first = tokio::spawn(async move { get(address, "/connectors/hangs").await });
    fixture.herder.hanging.notified().await;
    let mut second = tokio::spawn(async move { get(address, "/").await });
    assert!(
        tokio::time::timeout(Duration::from_millis(100), &mut second)
            .await
            .is_err(),
        "answered beside the first"
    );
    fixture.herder.go_on.notify_one();
    assert_eq!(first.await.unwrap().status, 200);
    assert_eq!(
        tokio::time::timeout(DEADLINE, second)
            .await
            .unwrap()
            .unwrap()
            .status,
        200
    );
}

#[tokio::test]
async fn a_silent_connection_is_closed() {
    // A connection may say nothing for 30 s beyond the slowest request; the clock is moved instead of waited for.
    let fixture = serve(RestOptions {
        request_timeout: Duration::from_millis(10),
        ..RestOptions::default()
    })
    .await;
    let mut silent = TcpStream::connect(fixture.address).await.unwrap();
    silent.write_all(b"GET / HTTP/1.1\r\nHo").await.unwrap();
    // Another request proves that the server has seen the first connection.
    assert_eq!(get(fixture.address, "/").await.status, 200);
    tokio::time::pause();
    let mut rest = Vec::new();
    let closed = silent.read_to_end(&mut rest);
    tokio::time::timeout(Duration::from_secs(31), closed)
        .await
        .expect("closed after 30 s of silence")
        .unwrap();
    assert_eq!(rest, b"");
}

#[tokio::test]
async fn each_request_is_one_line_without_credentials() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let guard = tracing::subscriber::set_default(Lines(Arc::clone(&lines)));
    let fixture = serve(RestOptions::default()).await;
    let headers = [
        ("Authorization", "Basic c2VjcmV0"),
        ("User-Agent", "te\"st/1"),
        ("Content-Type", "application/json"),
    ];
    call(
        fixture.address,
        "PUT",
        "/connectors/x/config?a=b",
        &headers,
        Some(r#"{"password": "hunter2"}"#),
    )
    .await;
    drop(guard);
    let lines = lines.lock().unwrap();
    let [line] = &lines[..] else {
        panic!("{lines:?}")
    };
    assert!(
        line.starts_with("127.0.0.1 - - [")
            && line.contains(r#"] "PUT /connectors/x/config?a=b HTTP/1.1" 201 "#),
        "{line}"
    );
    assert!(line.contains(r#" "-" "te\"st/1" "#), "{line}");
    assert!(
        !line.contains("hunter2") && !line.contains("c2VjcmV0"),
        "{line}"
    );
    let milliseconds = line.rsplit_once(' ').map(|(_, last)| last.parse::<u64>());
    assert!(matches!(milliseconds, Some(Ok(_))), "{line}");
}

/// Keeps the messages of the request log.
struct Lines(Arc<Mutex<Vec<String>>>);

impl tracing::Subscriber for Lines {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "org.apache.kafka.connect.runtime.rest.RestServer"
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        struct Message(String);
        impl Visit for Message {
            fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
                if field.name() == "message" {
                    self.0 = format!("{value:?}");
                }
            }
        }
        let mut message = Message(String::new());
        event.record(&mut message);
        self.0.lock().unwrap().push(message.0);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}
