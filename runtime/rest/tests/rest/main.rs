//! The REST server over a herder that is not one: every route, status, header and message.
#![allow(clippy::unwrap_used)]

mod client;
mod fake_herder;
mod recorded;
mod routes;
mod routing;
mod serving;

use std::net::SocketAddr;
use std::sync::Arc;

use fake_herder::FakeHerder;
use millrace_rest::{BoundServer, ListenerUri, RestOptions, RestServer};

struct Fixture {
    server: RestServer,
    herder: Arc<FakeHerder>,
    address: SocketAddr,
}

/// A server on a free port.
async fn serve(options: RestOptions) -> Fixture {
    serve_over(options, FakeHerder::default()).await
}

async fn serve_over(options: RestOptions, mut herder: FakeHerder) -> Fixture {
    let options = RestOptions {
        listeners: vec![free_port()],
        ..options
    };
    let bound = BoundServer::bind(options).await.expect("a free port");
    herder.worker_id = bound.worker_id().to_owned();
    let herder = Arc::new(herder);
    let server = bound.serve(Arc::<FakeHerder>::clone(&herder));
    let address = server.addresses()[0];
    Fixture {
        server,
        herder,
        address,
    }
}

fn free_port() -> ListenerUri {
    ListenerUri {
        host: "127.0.0.1".into(),
        port: 0,
    }
}
