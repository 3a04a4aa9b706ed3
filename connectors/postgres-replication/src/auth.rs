//! Answers to the server's authentication requests.

use bytes::BytesMut;
use postgres_protocol::authentication::{md5_hash, sasl};
use postgres_protocol::message::frontend;

use crate::error::ReplicationError;
use crate::options::{ChannelBindingMode, ConnectOptions};
use crate::wire::Body;

/// What to do after an authentication message of the server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The answer was appended to the output.
    Answer,
    /// Wait for the next message.
    Wait,
    /// The server is content.
    Done,
}

/// One authentication exchange. Sans-io: bodies of `R` messages in, answers out.
pub(crate) struct Authentication<'a> {
    options: &'a ConnectOptions,
    encrypted: bool,
    /// `tls-server-end-point` data, when the connection has any.
    binding: Option<Vec<u8>>,
    scram: Option<sasl::ScramSha256>,
    /// Whether the exchange was bound to the TLS connection and the server proved that it knows the password.
    bound: bool,
    finished: bool,
}

fn failure(text: impl Into<String>) -> ReplicationError {
    ReplicationError::Auth(text.into())
}

impl<'a> Authentication<'a> {
    pub(crate) fn new(
        options: &'a ConnectOptions,
        encrypted: bool,
        binding: Option<Vec<u8>>,
    ) -> Self {
        Authentication {
            options,
            encrypted,
            binding,
            scram: None,
            bound: false,
            finished: false,
        }
    }

    pub(crate) fn step(
        &mut self,
        body: &[u8],
        out: &mut BytesMut,
    ) -> Result<Step, ReplicationError> {
        let mut body = Body::new(body, "an authentication request");
        match body.i32()? {
            0 => self.accepted(),
            3 => {
                self.refuse_unbound("a clear-text password")?;
                self.send_password(self.password("clear-text")?.as_bytes(), out)
            }
            5 => {
                self.refuse_unbound("an MD5 password")?;
                let salt = body.array::<4>()?;
                let password = self.password("MD5")?;
                let hash = md5_hash(self.options.user.as_bytes(), password.as_bytes(), salt);
                self.send_password(hash.as_bytes(), out)
            }
            10 => self.start_scram(body.rest(), out),
            11 => {
                let scram = self.scram.as_mut().ok_or_else(out_of_order)?;
                scram
                    .update(body.rest())
                    .map_err(|error| failure(format!("SCRAM: {error}")))?;
                frontend::sasl_response(scram.message(), out).map_err(message_error)?;
                Ok(Step::Answer)
            }
            12 => {
                let scram = self.scram.as_mut().ok_or_else(out_of_order)?;
                scram.finish(body.rest()).map_err(|error| {
                    failure(format!(
                        "the server did not prove that it knows the password: {error}"
                    ))
                })?;
                self.finished = true;
                Ok(Step::Wait)
            }
            other => Err(failure(format!(
                "the server's pg_hba.conf asks {}@{} for {}, which this client cannot do: \
                 use scram-sha-256, md5, password, cert or trust",
                self.options.user,
                self.options.address(),
                match other {
                    2 => "Kerberos V5".to_owned(),
                    7 | 8 => "GSSAPI".to_owned(),
                    9 => "SSPI".to_owned(),
                    other => format!("authentication method {other}"),
                }
            ))),
        }
    }

    fn accepted(&self) -> Result<Step, ReplicationError> {
        if self.scram.is_some() && !self.finished {
            return Err(failure(
                "the server ended SCRAM without proving that it knows the password",
            ));
        }
        if !self.bound {
            self.refuse_unbound("a connection without SCRAM")?;
        }
        Ok(Step::Done)
    }

    fn refuse_unbound(&self, what: &str) -> Result<(), ReplicationError> {
        if self.options.channel_binding == ChannelBindingMode::Require {
            return Err(failure(format!(
                "channel_binding=require, but the server wants {what}: only SCRAM over TLS can be bound"
            )));
        }
        Ok(())
    }

    fn password(&self, kind: &str) -> Result<&'a str, ReplicationError> {
        match &self.options.password {
            Some(password) => Ok(password.expose()),
            None => Err(failure(format!(
                "the server wants a password ({kind}) for user `{}` and none is configured",
                self.options.user
            ))),
        }
    }

    fn send_password(&self, password: &[u8], out: &mut BytesMut) -> Result<Step, ReplicationError> {
        frontend::password_message(password, out).map_err(message_error)?;
        Ok(Step::Answer)
    }

    fn start_scram(
        &mut self,
        mechanisms: &[u8],
        out: &mut BytesMut,
    ) -> Result<Step, ReplicationError> {
        let mut plain = false;
        let mut plus = false;
        for mechanism in mechanisms.split(|byte| *byte == 0) {
            plain |= mechanism == sasl::SCRAM_SHA_256.as_bytes();
            plus |= mechanism == sasl::SCRAM_SHA_256_PLUS.as_bytes();
        }
        let mode = self.options.channel_binding;
        let binding = match mode {
            ChannelBindingMode::Disable => None,
            ChannelBindingMode::Prefer | ChannelBindingMode::Require => self.binding.take(),
        };
        let (mechanism, binding) = match binding {
            Some(data) if plus => {
                self.bound = true;
                (
                    sasl::SCRAM_SHA_256_PLUS,
                    sasl::ChannelBinding::tls_server_end_point(data),
                )
            }
            _ if mode == ChannelBindingMode::Require => {
                return Err(failure(if self.encrypted {
                    "channel_binding=require, but the server or its certificate does not support channel binding"
                } else {
                    "channel_binding=require, but the connection is not encrypted"
                }));
            }
            // Telling the server that binding was possible lets it find out if someone removed its offer.
            Some(_) if plain => (sasl::SCRAM_SHA_256, sasl::ChannelBinding::unrequested()),
            None if plain => (sasl::SCRAM_SHA_256, sasl::ChannelBinding::unsupported()),
            _ => {
                return Err(failure(format!(
                    "the server offers no SASL mechanism that this client knows (SCRAM-SHA-256, SCRAM-SHA-256-PLUS) \
                     but {}",
                    String::from_utf8_lossy(mechanisms)
                        .replace('\0', " ")
                        .trim()
                )));
            }
        };
        let password = self.password("SCRAM-SHA-256")?;
        let scram = sasl::ScramSha256::new(password.as_bytes(), binding);
        frontend::sasl_initial_response(mechanism, scram.message(), out).map_err(message_error)?;
        self.scram = Some(scram);
        Ok(Step::Answer)
    }
}

fn out_of_order() -> ReplicationError {
    ReplicationError::Protocol("a SASL message without a SASL exchange".to_owned())
}

/// A part of a message of ours has a NUL byte or is too long.
pub(crate) fn message_error(error: std::io::Error) -> ReplicationError {
    ReplicationError::Options(format!(
        "an option cannot be sent to PostgreSQL (a NUL byte in it?): {error}"
    ))
}
