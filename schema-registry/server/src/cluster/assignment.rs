//! The result of an election, as the group's leader sends it to every member.

use java_idioms::json::{Json, write_string_to_bytes};

use super::identity::{Identity, read};

/// Two members give the same URL.
const DUPLICATE_URLS: i64 = 1;

/// Who leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Assignment {
    /// This member; nobody when none may.
    Leader(Option<(String, Identity)>),
    /// Nobody, because several members give the same URL; or another number that is not known here.
    Failed(i64),
}

impl Assignment {
    /// Chooses among members by their ids: the one with the smallest URL of those that may lead; under `sticky` the one that leads already.
    pub(crate) fn choose(members: &[(String, Identity)], sticky: bool) -> Self {
        let mut urls: Vec<String> = members.iter().map(|(_, identity)| identity.url()).collect();
        urls.sort_unstable();
        if urls.windows(2).any(|two| two[0] == two[1]) {
            return Self::Failed(DUPLICATE_URLS);
        }
        let eligible = || members.iter().filter(|(_, identity)| identity.eligible);
        let mut leading = eligible().filter(|(_, identity)| sticky && identity.leader);
        let chosen = match (leading.next(), leading.next()) {
            (Some(present), None) => Some(present),
            _ => eligible().min_by_key(|(_, identity)| identity.url()),
        };
        Self::Leader(chosen.cloned())
    }

    /// The bytes that every member gets.
    pub(crate) fn to_json(&self) -> String {
        match self {
            Self::Leader(Some((id, identity))) => {
                let mut text = String::from("{\"error\":0,\"master\":");
                write_string_to_bytes(id, &mut text);
                text += &format!(
                    ",\"master_identity\":{},\"version\":1}}",
                    identity.to_json()
                );
                text
            }
            Self::Leader(None) => r#"{"error":0,"version":1}"#.to_owned(),
            Self::Failed(error) => format!(r#"{{"error":{error},"version":1}}"#),
        }
    }

    /// Reads what the group's leader sent, which may be a Java one.
    pub(crate) fn from_json(bytes: &[u8]) -> Result<Self, String> {
        let json = read(bytes)?;
        match json.get("error").and_then(Json::as_i64).unwrap_or(0) {
            0 => {}
            error => return Ok(Self::Failed(error)),
        }
        let Some(identity) = json
            .get("master_identity")
            .filter(|identity| !identity.is_null())
        else {
            return Ok(Self::Leader(None));
        };
        let identity = Identity::of(identity).ok_or_else(|| {
            format!(
                "no identity of a leader: {}",
                String::from_utf8_lossy(bytes)
            )
        })?;
        let id = json
            .get("master")
            .and_then(Json::as_str)
            .unwrap_or_default();
        Ok(Self::Leader(Some((id.to_owned(), identity))))
    }
}

/// What an operator does about an election that failed.
pub(crate) fn explain(error: i64) -> String {
    match error {
        DUPLICATE_URLS => "the group of schema registries contains several members with the same URL: set 'host.name' (and 'host.port') of each to what others reach it under".to_owned(),
        other => format!("the group of schema registries answered with the unknown error {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::listener::Scheme;

    fn member(id: &str, port: u16, eligible: bool, leader: bool) -> (String, Identity) {
        let identity = Identity {
            host: "h".into(),
            port,
            scheme: Scheme::Http,
            eligible,
            leader,
        };
        (id.to_owned(), identity)
    }

    fn chosen(members: &[(String, Identity)], sticky: bool) -> Option<String> {
        match Assignment::choose(members, sticky) {
            Assignment::Leader(leader) => leader.map(|(id, _)| id),
            Assignment::Failed(error) => Some(error.to_string()),
        }
    }

    #[test]
    fn the_smallest_eligible_url_leads_or_the_one_that_does() {
        let members = [
            member("a", 9000, true, true),
            member("b", 10000, true, false),
            member("c", 1000, false, false),
        ];
        // In the order of texts, not of numbers.
        assert_eq!(chosen(&members, false).as_deref(), Some("b"));
        assert_eq!(chosen(&members, true).as_deref(), Some("a"));
        let two_say_so = [member("a", 9000, true, true), member("b", 8000, true, true)];
        assert_eq!(chosen(&two_say_so, true).as_deref(), Some("b"));
        assert_eq!(chosen(&[member("c", 1, false, true)], true), None);
        assert_eq!(
            chosen(
                &[member("a", 1, true, false), member("b", 1, true, false)],
                false
            )
            .as_deref(),
            Some("1")
        );
    }

    #[test]
    fn assignments_travel_as_json() {
        let leader = Assignment::Leader(Some(member("sr-1-x", 8081, true, false)));
        assert_eq!(
            leader.to_json(),
            r#"{"error":0,"master":"sr-1-x","master_identity":{"host":"h","port":8081,"master_eligibility":true,"scheme":"http","version":1,"leader":false},"version":1}"#
        );
        for assignment in [leader, Assignment::Leader(None), Assignment::Failed(1)] {
            assert_eq!(
                Assignment::from_json(assignment.to_json().as_bytes()),
                Ok(assignment)
            );
        }
        assert_eq!(
            Assignment::from_json(
                br#"{"error":0,"master":null,"master_identity":null,"version":1}"#
            ),
            Ok(Assignment::Leader(None))
        );
        assert!(Assignment::from_json(b"\0\x01").is_err());
    }
}
