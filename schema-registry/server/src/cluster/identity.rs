//! How a registry presents itself to the group: JSON, because Java's registries read it.

use java_idioms::json::{Json, ReadOptions, write_string_to_bytes};

use crate::http::client::Destination;
use crate::http::listener::{Scheme, url};

/// A member of the group of registries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) scheme: Scheme,
    /// Whether it may lead.
    pub(crate) eligible: bool,
    /// Whether it leads at present; said only under `leader.election.sticky`.
    pub(crate) leader: bool,
}

impl Identity {
    /// What members are told apart and ordered by.
    pub(crate) fn url(&self) -> String {
        url(self.scheme, &self.host, self.port)
    }

    /// Where calls go.
    pub(crate) fn destination(&self) -> Destination {
        Destination {
            scheme: self.scheme,
            host: self.host.clone(),
            port: self.port,
        }
    }

    /// The bytes of the group's metadata.
    pub(crate) fn to_json(&self) -> String {
        let mut text = String::from("{\"host\":");
        write_string_to_bytes(&self.host, &mut text);
        text += &format!(
            ",\"port\":{},\"master_eligibility\":{},\"scheme\":\"{}\",\"version\":1,\"leader\":{}}}",
            self.port,
            self.eligible,
            self.scheme.name(),
            self.leader
        );
        text
    }

    /// Reads the metadata of a member, of a Java one too; the text says what is wrong with it.
    pub(crate) fn from_json(bytes: &[u8]) -> Result<Self, String> {
        let json = read(bytes)?;
        Self::of(&json).ok_or_else(|| {
            format!(
                "no identity of a schema registry: {}",
                String::from_utf8_lossy(bytes)
            )
        })
    }

    pub(crate) fn of(json: &Json) -> Option<Self> {
        let port = json.get("port").and_then(Json::as_i64)?;
        Some(Self {
            host: json.get("host").and_then(Json::as_str)?.to_owned(),
            port: u16::try_from(port).ok()?,
            scheme: json
                .get("scheme")
                .and_then(Json::as_str)
                .map_or(Some(Scheme::Http), Scheme::parse)?,
            eligible: json
                .get("master_eligibility")
                .and_then(Json::as_bool)
                .unwrap_or(true),
            leader: json.get("leader").and_then(Json::as_bool).unwrap_or(false),
        })
    }
}

pub(crate) fn read(bytes: &[u8]) -> Result<Json, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| format!("no UTF-8: {error}"))?;
    Json::read(text, ReadOptions::default()).map_err(|error| format!("no JSON ({error}): {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_are_written_and_read_as_java_does() {
        let identity = Identity {
            host: "h".into(),
            port: 8081,
            scheme: Scheme::Http,
            eligible: true,
            leader: false,
        };
        let text = r#"{"host":"h","port":8081,"master_eligibility":true,"scheme":"http","version":1,"leader":false}"#;
        assert_eq!(identity.to_json(), text);
        assert_eq!(Identity::from_json(text.as_bytes()), Ok(identity.clone()));
        assert_eq!(
            Identity::from_json(
                br#"{"host":"h","port":8081,"master_eligibility":true,"version":1,"new":[1]}"#
            ),
            Ok(identity)
        );
        for wrong in [
            "",
            "[]",
            "{}",
            r#"{"host":"h","port":70000}"#,
            r#"{"host":1,"port":1}"#,
        ] {
            assert!(Identity::from_json(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
