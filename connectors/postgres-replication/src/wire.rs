//! Framing and the few backend messages that a replication session sees outside of the stream.

use bytes::{Buf, Bytes, BytesMut};

use crate::error::{ReplicationError, ServerError};

/// Bytes of the tag and length in front of every message.
pub(crate) const HEADER: usize = 5;

/// The server builds messages in buffers below 1 GiB; the length counts its own four bytes too.
const MAX_MESSAGE: usize = (1 << 30) + 4;

/// The length of the message at the start of `buf` with its header, once the header is there.
#[inline]
pub(crate) fn message_length(buf: &[u8]) -> Result<Option<usize>, ReplicationError> {
    let Some([tag, a, b, c, d]) = buf.first_chunk::<HEADER>().copied() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    if !(4..=MAX_MESSAGE).contains(&length) {
        return Err(ReplicationError::Protocol(format!(
            "message '{}' has the impossible length {length}; is this a PostgreSQL server?",
            tag.escape_ascii()
        )));
    }
    Ok(Some(length + 1))
}

/// Takes the next complete message off `buf`: its tag and its body.
pub(crate) fn take_message(buf: &mut BytesMut) -> Result<Option<(u8, Bytes)>, ReplicationError> {
    match message_length(buf)? {
        Some(length) if buf.len() >= length => {
            let mut message = buf.split_to(length).freeze();
            let tag = message[0];
            message.advance(HEADER);
            Ok(Some((tag, message)))
        }
        _ => Ok(None),
    }
}

/// A checked cursor over the body of a backend message.
pub(crate) struct Body<'a> {
    rest: &'a [u8],
    /// What the message is, for errors.
    name: &'static str,
}

impl<'a> Body<'a> {
    pub(crate) fn new(body: &'a [u8], name: &'static str) -> Self {
        Body { rest: body, name }
    }

    fn truncated(&self) -> ReplicationError {
        ReplicationError::Protocol(format!("{} is cut short", self.name))
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Result<&'a [u8], ReplicationError> {
        let (bytes, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or_else(|| self.truncated())?;
        self.rest = rest;
        Ok(bytes)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], ReplicationError> {
        let mut array = [0; N];
        array.copy_from_slice(self.bytes(N)?);
        Ok(array)
    }

    pub(crate) fn i16(&mut self) -> Result<i16, ReplicationError> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    pub(crate) fn i32(&mut self) -> Result<i32, ReplicationError> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    /// A NUL-terminated string.
    pub(crate) fn text(&mut self) -> Result<String, ReplicationError> {
        let len = self
            .rest
            .iter()
            .position(|byte| *byte == 0)
            .ok_or_else(|| self.truncated())?;
        // Errors of a session that has not set its encoding yet may come in the database's own.
        let text = String::from_utf8_lossy(self.bytes(len)?).into_owned();
        self.bytes(1)?;
        Ok(text)
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

/// The fields of an ErrorResponse or NoticeResponse. Never fails: a broken error is still an error.
pub(crate) fn server_error(body: &[u8]) -> ServerError {
    let mut error = ServerError::default();
    let mut localised_severity = String::new();
    let mut body = Body::new(body, "ErrorResponse");
    while let Ok([field]) = body.array::<1>() {
        if field == 0 {
            break;
        }
        let Ok(value) = body.text() else { break };
        match field {
            b'V' => error.severity = value,
            b'S' => localised_severity = value,
            b'C' => error.code = value,
            b'M' => error.message = value,
            b'D' => error.detail = Some(value),
            b'H' => error.hint = Some(value),
            _ => {}
        }
    }
    if error.severity.is_empty() {
        error.severity = localised_severity;
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_taken_only_when_complete() {
        let whole = b"Z\0\0\0\x05I";
        for end in 0..whole.len() {
            let mut buf = BytesMut::from(&whole[..end]);
            assert_eq!(take_message(&mut buf).expect("no error"), None);
            assert_eq!(buf.len(), end);
        }
        let mut buf = BytesMut::from(&whole[..]);
        let taken = take_message(&mut buf).expect("no error");
        assert_eq!(taken, Some((b'Z', Bytes::from_static(b"I"))));
    }

    #[test]
    fn impossible_lengths_are_refused() {
        for start in [b"Z\0\0\0\x03", b"H\x54\x54\x50\x2f"] {
            let error = message_length(start).expect_err("impossible");
            assert!(error.to_string().contains("impossible length"), "{error}");
        }
    }

    #[test]
    fn error_fields() {
        let body = b"SFEHLER\0VERROR\0C42704\0Mno such slot\0Dd\0Hh\0Fslot.c\0\0";
        assert_eq!(
            server_error(body),
            ServerError {
                severity: "ERROR".into(),
                code: "42704".into(),
                message: "no such slot".into(),
                detail: Some("d".into()),
                hint: Some("h".into()),
            }
        );
        for end in 0..body.len() {
            server_error(&body[..end]);
        }
    }
}
