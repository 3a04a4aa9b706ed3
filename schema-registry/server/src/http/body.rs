//! The body of a request.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};

/// So much of a body that is too large is read, and thrown away, for so long.
const MOST_DRAINED: usize = 64 << 20;
const DRAINING: Duration = Duration::from_secs(2);

/// A body that is read only when a call wants it.
#[derive(Debug)]
pub(crate) enum RequestBody {
    /// From a connection.
    Stream(Incoming),
    /// From this process.
    Here(Bytes),
}

/// Why a body could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// Longer than allowed.
    TooLarge,
    /// The client stopped sending.
    Broken,
}

impl RequestBody {
    /// The whole body, of at most `limit` bytes, each part of which comes within `patience`.
    pub(crate) async fn read(self, limit: usize, patience: Duration) -> Result<Bytes, BodyError> {
        let mut stream = match self {
            Self::Here(bytes) if bytes.len() > limit => return Err(BodyError::TooLarge),
            Self::Here(bytes) => return Ok(bytes),
            Self::Stream(stream) => stream,
        };
        if stream.size_hint().lower() > limit as u64 {
            drain(stream).await;
            return Err(BodyError::TooLarge);
        }
        let mut first = Bytes::new();
        let mut rest = BytesMut::new();
        while !stream.is_end_stream() {
            let frame = match tokio::time::timeout(patience, stream.frame()).await {
                Ok(None) => break,
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(_))) | Err(_) => return Err(BodyError::Broken),
            };
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if first.len().max(rest.len()) + data.len() > limit {
                drop((first, rest));
                drain(stream).await;
                return Err(BodyError::TooLarge);
            }
            if first.is_empty() && rest.is_empty() {
                // Most bodies come in one piece and need no copy.
                first = data;
            } else {
                if rest.is_empty() {
                    rest.extend_from_slice(&std::mem::take(&mut first));
                }
                rest.extend_from_slice(&data);
            }
        }
        Ok(if rest.is_empty() {
            first
        } else {
            rest.freeze()
        })
    }
}

/// Reads on for a while and throws it away: a client that is still sending when the connection is closed may never see the answer.
async fn drain(mut stream: Incoming) {
    let discard = async {
        let mut seen = 0;
        while seen < MOST_DRAINED
            && let Some(Ok(frame)) = stream.frame().await
        {
            seen += frame.data_ref().map_or(0, Bytes::len);
        }
    };
    // Whether it ended or not, the answer follows.
    drop(tokio::time::timeout(DRAINING, discard).await);
}
