use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use crate::StartError;

/// Whom the server runs as when this process is root's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl Account {
    /// `postgres`, else `nobody`.
    pub(crate) fn unprivileged() -> Result<Self, StartError> {
        let passwd =
            fs::read_to_string("/etc/passwd").map_err(StartError::io("cannot read /etc/passwd"))?;
        ["postgres", "nobody"]
            .iter()
            .find_map(|name| Self::parse(&passwd, name))
            .ok_or(StartError::NoUnprivilegedUser)
    }

    fn parse(passwd: &str, wanted: &str) -> Option<Self> {
        passwd.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next().filter(|name| *name == wanted)?;
            let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
            (uid != 0).then(|| Account {
                name: name.to_owned(),
                uid,
                gid,
            })
        })
    }

    /// Makes `command` run as this user; std drops root's supplementary groups as well.
    pub(crate) fn apply(&self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_from_the_passwd_line() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\npostgres2:x:7:8::/:/bin/sh\npostgres:x:105:113:PostgreSQL,,,:/var/lib/postgresql:/bin/bash\n";
        let account = Account {
            name: "postgres".into(),
            uid: 105,
            gid: 113,
        };
        assert_eq!(Account::parse(passwd, "postgres"), Some(account));
        assert_eq!(Account::parse(passwd, "root"), None, "never root");
        assert_eq!(Account::parse(passwd, "nobody"), None);
    }
}
