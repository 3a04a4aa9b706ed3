//! One connection to one broker: framing, versions, TLS, SASL.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, ApiVersionsResponse, RequestHeader, ResponseHeader,
    SaslAuthenticateRequest, SaslHandshakeRequest,
};
use kafka_protocol::protocol::{
    Decodable as _, Encodable as _, HeaderVersion as _, Request, StrBytes,
};
use millrace_log::LogError;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::scram::Scram;
use crate::errors::from_response;
use crate::security::{Mechanism, Sasl};

/// Larger answers are refused before they are read: a metadata answer for 100,000 partitions has a few MB.
const MAX_RESPONSE: usize = 64 << 20;
const SOFTWARE: &str = "millrace";

trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for T {}

/// What a connection is made from.
#[derive(Clone)]
pub(crate) struct Dialer {
    pub(crate) client_id: StrBytes,
    pub(crate) tls: Option<Arc<rustls::ClientConfig>>,
    pub(crate) sasl: Option<Sasl>,
    /// For TCP, TLS and SASL together.
    pub(crate) connect_timeout: Duration,
    /// For one request.
    pub(crate) request_timeout: Duration,
}

/// An authenticated connection. One request at a time; after an error it must not be used again.
pub(crate) struct Connection {
    stream: Box<dyn Stream>,
    dialer: Dialer,
    peer: String,
    versions: HashMap<i16, (i16, i16)>,
    correlation: i32,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// Connects to `host:port`, negotiates versions and authenticates.
    pub(crate) async fn open(dialer: &Dialer, host: &str, port: u16) -> Result<Self, LogError> {
        let peer = format!("{host}:{port}");
        match timeout(
            dialer.connect_timeout,
            Self::dial(dialer, host, port, &peer),
        )
        .await
        {
            Ok(result) => result,
            Err(_) => Err(LogError::Timeout(format!(
                "no answer from {peer} within {} ms",
                dialer.connect_timeout.as_millis()
            ))),
        }
    }

    async fn dial(dialer: &Dialer, host: &str, port: u16, peer: &str) -> Result<Self, LogError> {
        let tcp = TcpStream::connect((host, port))
            .await
            .map_err(|e| failed(peer, "cannot connect", e))?;
        tcp.set_nodelay(true)
            .map_err(|e| failed(peer, "cannot set TCP_NODELAY", e))?;
        let stream: Box<dyn Stream> = match &dialer.tls {
            None => Box::new(tcp),
            Some(config) => {
                let name = ServerName::try_from(host.to_owned()).map_err(|_| {
                    LogError::Config(format!(
                        "{peer}: the host name of a broker cannot be used with TLS"
                    ))
                })?;
                let tls = TlsConnector::from(Arc::clone(config))
                    .connect(name, tcp)
                    .await;
                Box::new(tls.map_err(|e| failed(peer, "the TLS handshake failed (is it a TLS listener, and does the trust store hold its authority?)", e))?)
            }
        };
        let mut connection = Self {
            stream,
            dialer: dialer.clone(),
            peer: peer.to_owned(),
            versions: HashMap::new(),
            correlation: 0,
        };
        connection.negotiate().await?;
        if let Some(sasl) = dialer.sasl.clone() {
            connection.authenticate(&sasl).await?;
        }
        Ok(connection)
    }

    /// The version to use for `R`: the highest that the broker, kafka-protocol and `cap` allow.
    pub(crate) fn version<R: Request>(&self, cap: i16) -> Result<i16, LogError> {
        let ours = (R::VERSIONS.min, R::VERSIONS.max.min(cap));
        let theirs = self.versions.get(&R::KEY).copied();
        theirs
            .map(|(min, max)| (ours.0.max(min), ours.1.min(max)))
            .filter(|(low, high)| low <= high)
            .map(|(_, high)| high)
            .ok_or_else(|| {
                let name = ApiKey::try_from(R::KEY)
                    .map_or_else(|_| R::KEY.to_string(), |k| format!("{k:?}"));
                LogError::fatal(format!(
                    "broker {} does not serve {name} in versions {}..{}; it is too old or too new",
                    self.peer, ours.0, ours.1
                ))
            })
    }

    /// Sends `request` in `version` and waits for the answer.
    pub(crate) async fn call<R: Request>(
        &mut self,
        version: i16,
        request: &R,
    ) -> Result<R::Response, LogError> {
        self.call_within(version, request, self.dialer.request_timeout)
            .await
    }

    /// The same with a time limit of its own.
    pub(crate) async fn call_within<R: Request>(
        &mut self,
        version: i16,
        request: &R,
        limit: Duration,
    ) -> Result<R::Response, LogError> {
        let mut body = timeout(limit, self.exchange(version, request))
            .await
            .map_err(|_| {
                LogError::Timeout(format!(
                    "no answer from {} within {} ms",
                    self.peer,
                    limit.as_millis()
                ))
            })??;
        ResponseHeader::decode(&mut body, R::Response::header_version(version))
            .map_err(|e| self.garbled(&e))?;
        R::Response::decode(&mut body, version).map_err(|e| self.garbled(&e))
    }

    /// Sends a request and returns the answer after its correlation id was checked but not removed.
    async fn exchange<R: Request>(&mut self, version: i16, request: &R) -> Result<Bytes, LogError> {
        self.correlation = self.correlation.wrapping_add(1);
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation)
            .with_client_id(Some(self.dialer.client_id.clone()));
        let mut frame = BytesMut::with_capacity(256);
        frame.put_i32(0);
        let encoded = header
            .encode(&mut frame, R::header_version(version))
            .and_then(|()| request.encode(&mut frame, version));
        encoded.map_err(|e| {
            LogError::fatal(format!("cannot encode a request for {}: {e}", self.peer))
        })?;
        let size = (frame.len() - 4) as i32;
        frame[..4].copy_from_slice(&size.to_be_bytes());
        // Length and body in one write: two would wait for the delayed ACK of the first.
        self.stream
            .write_all(&frame)
            .await
            .map_err(|e| failed(&self.peer, "cannot send", e))?;
        self.stream
            .flush()
            .await
            .map_err(|e| failed(&self.peer, "cannot send", e))?;

        let size = self
            .stream
            .read_i32()
            .await
            .map_err(|e| failed(&self.peer, "the connection was lost", e))?;
        let size = usize::try_from(size)
            .ok()
            .filter(|s| (4..=MAX_RESPONSE).contains(s));
        let Some(size) = size else {
            return Err(LogError::retriable(format!(
                "{} does not answer in Kafka's protocol: is it a Kafka listener, with the 'security.protocol' that is set?",
                self.peer
            )));
        };
        let mut answer = vec![0; size];
        self.stream
            .read_exact(&mut answer)
            .await
            .map_err(|e| failed(&self.peer, "the connection was lost", e))?;
        let answer = Bytes::from(answer);
        let correlation = answer.slice(..4).get_i32();
        if correlation != self.correlation {
            return Err(LogError::retriable(format!(
                "{} answered another request than the one sent",
                self.peer
            )));
        }
        Ok(answer)
    }

    async fn negotiate(&mut self) -> Result<(), LogError> {
        let version = env!("CARGO_PKG_VERSION");
        let request = ApiVersionsRequest::default()
            .with_client_software_name(StrBytes::from_static_str(SOFTWARE))
            .with_client_software_version(StrBytes::from_static_str(version));
        let mut answer = self.exchange(3, &request).await?;
        ResponseHeader::decode(&mut answer, 0).map_err(|e| self.garbled(&e))?;
        // A broker that does not know version 3 answers in version 0, with an error.
        let error = answer.clone().get_i16();
        let response = if error == kafka_protocol::error::ResponseError::UnsupportedVersion.code() {
            self.call(0, &ApiVersionsRequest::default()).await?
        } else {
            ApiVersionsResponse::decode(&mut answer, 3).map_err(|e| self.garbled(&e))?
        };
        if response.error_code != 0 {
            return Err(from_response(
                &format!("{} refuses to tell its versions", self.peer),
                response.error_code,
                None,
            ));
        }
        self.versions = response
            .api_keys
            .iter()
            .map(|k| (k.api_key, (k.min_version, k.max_version)))
            .collect();
        Ok(())
    }

    async fn authenticate(&mut self, sasl: &Sasl) -> Result<(), LogError> {
        let name = sasl.mechanism.name();
        let request =
            SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str(name));
        let response = self
            .call(self.version::<SaslHandshakeRequest>(1)?, &request)
            .await?;
        if response.error_code != 0 {
            let offered: Vec<&str> = response.mechanisms.iter().map(|m| m.as_str()).collect();
            return Err(LogError::Authorization(format!(
                "broker {} does not offer sasl.mechanism={name}; it offers: {}",
                self.peer,
                offered.join(", ")
            )));
        }
        match sasl.mechanism {
            Mechanism::Plain => {
                let token = format!("\0{}\0{}", sasl.username, sasl.password.expose());
                self.sasl_token(token.into_bytes(), sasl).await?;
            }
            Mechanism::ScramSha256 | Mechanism::ScramSha512 => {
                let refuse = |peer: &str, why: &str| {
                    LogError::Authorization(format!("{name} with broker {peer} failed: {why}"))
                };
                let Some(mut scram) =
                    Scram::new(sasl.mechanism, &sasl.username, &sasl.password, nonce()?)
                else {
                    return Ok(());
                };
                let challenge = self.sasl_token(scram.first(), sasl).await?;
                let answer = scram
                    .answer(&challenge)
                    .map_err(|why| refuse(&self.peer, why))?;
                let last = self.sasl_token(answer, sasl).await?;
                scram.verify(&last).map_err(|why| refuse(&self.peer, why))?;
            }
        }
        Ok(())
    }

    async fn sasl_token(&mut self, token: Vec<u8>, sasl: &Sasl) -> Result<Bytes, LogError> {
        let version = self.version::<SaslAuthenticateRequest>(2)?;
        let response = self
            .call(
                version,
                &SaslAuthenticateRequest::default().with_auth_bytes(Bytes::from(token)),
            )
            .await?;
        if response.error_code != 0 {
            let text = response
                .error_message
                .as_ref()
                .map(|t| t.as_str())
                .unwrap_or_default();
            return Err(LogError::Authorization(format!(
                "broker {} refuses user '{}' with sasl.mechanism={}: {text}; check 'sasl.jaas.config'",
                self.peer,
                sasl.username,
                sasl.mechanism.name()
            )));
        }
        Ok(response.auth_bytes)
    }

    fn garbled(&self, error: &dyn fmt::Display) -> LogError {
        LogError::fatal(format!(
            "the answer of {} cannot be decoded: {error}",
            self.peer
        ))
    }
}

fn failed(peer: &str, what: &str, error: std::io::Error) -> LogError {
    LogError::Retriable {
        message: format!("{peer}: {what}: {error}"),
        source: Some(Arc::new(error)),
    }
}

fn nonce() -> Result<String, LogError> {
    use base64::Engine as _;
    let mut bytes = [0; 24];
    rustls::crypto::ring::default_provider()
        .secure_random
        .fill(&mut bytes)
        .map_err(|_| LogError::fatal("the system gives no random numbers"))?;
    Ok(base64::engine::general_purpose::STANDARD_NO_PAD.encode(bytes))
}
