use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// ApiVersions (key 18), version 0, correlation id 1, no client id: the one request every broker answers before anything else.
const REQUEST: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff];

/// Whether a Kafka broker answers on 127.0.0.1:`port`. It does not before it has joined its controller.
pub(crate) async fn answered(port: u16) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        stream.write_all(&REQUEST).await?;
        let mut head = [0; 8];
        stream.read_exact(&mut head).await?;
        // Four bytes of length, then the correlation id.
        std::io::Result::Ok(head[4..] == [0, 0, 0, 1])
    };
    matches!(
        tokio::time::timeout(Duration::from_secs(2), ask).await,
        Ok(Ok(true))
    )
}
