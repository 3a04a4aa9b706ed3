use std::env;
use std::fs;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use crate::StartError;
use crate::account::Account;

/// `sun_path` is 108 bytes with its final NUL; `/.s.PGSQL.65535` follows the directory.
const MAX_SOCKET_DIR: usize = 107 - "/.s.PGSQL.65535".len();

/// The server's directory, and the user it was handed to when this process is root's.
#[derive(Debug)]
pub(crate) struct Directory {
    pub(crate) path: PathBuf,
    pub(crate) account: Option<Account>,
}

impl Directory {
    /// Makes `wanted`, or a new directory below the system's one for temporary files, ready for the server.
    /// What was made is removed again when a later step fails.
    pub(crate) fn prepare(wanted: Option<PathBuf>) -> Result<Self, StartError> {
        let path = match wanted {
            Some(dir) => take_given(&dir)?,
            None => create_new()?,
        };
        let directory = hand_over(&path);
        if directory.is_err() {
            // Best effort: the error that is about to be returned matters more.
            let _ = fs::remove_dir_all(&path);
        }
        directory
    }
}

fn hand_over(path: &Path) -> Result<Directory, StartError> {
    if path.as_os_str().as_bytes().len() > MAX_SOCKET_DIR {
        return Err(StartError::PathTooLong {
            dir: path.to_owned(),
            max: MAX_SOCKET_DIR,
        });
    }
    // A directory just made belongs to the effective user: this tells root without a libc call.
    let owner = fs::metadata(path)
        .map_err(StartError::io_at("cannot look at", path))?
        .uid();
    let account = if owner == 0 {
        Some(Account::unprivileged()?)
    } else {
        None
    };
    if let Some(account) = &account {
        if let Some(parent) = path
            .ancestors()
            .skip(1)
            .find(|parent| !may_pass(parent, account))
        {
            return Err(StartError::Unreachable {
                dir: path.to_owned(),
                parent: parent.to_owned(),
                user: account.name.clone(),
            });
        }
        chown(path, Some(account.uid), Some(account.gid))
            .map_err(StartError::io_at("cannot change the owner of", path))?;
    }
    Ok(Directory {
        path: path.to_owned(),
        account,
    })
}

/// Refuses a directory with content, since dropping the server removes the directory.
fn take_given(dir: &Path) -> Result<PathBuf, StartError> {
    fs::create_dir_all(dir).map_err(StartError::io_at("cannot create", dir))?;
    let dir = dir
        .canonicalize()
        .map_err(StartError::io_at("cannot resolve", dir))?;
    let mut entries = fs::read_dir(&dir).map_err(StartError::io_at("cannot list", &dir))?;
    if entries.next().is_some() {
        return Err(StartError::NotEmpty { dir });
    }
    Ok(dir)
}

fn create_new() -> Result<PathBuf, StartError> {
    let mut parents = vec![
        env::temp_dir(),
        PathBuf::from("/tmp"),
        PathBuf::from("/var/tmp"),
    ];
    parents.retain(|parent| parent.is_dir());
    // TMPDIR may be private to root; any directory that everyone may pass through comes first.
    parents.sort_by_key(|parent| {
        !parent
            .canonicalize()
            .is_ok_and(|full| full.ancestors().all(|part| mode(part) & 0o001 != 0))
    });
    let parent = parents.first().cloned().unwrap_or_else(env::temp_dir);
    let parent = parent
        .canonicalize()
        .map_err(StartError::io_at("cannot resolve", &parent))?;
    loop {
        let dir = parent.join(format!("throwaway-pg-{:08x}", random() as u32));
        match fs::DirBuilder::new().mode(0o700).create(&dir) {
            Ok(()) => return Ok(dir),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(StartError::io_at("cannot create", &dir)(error)),
        }
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode())
}

fn may_pass(dir: &Path, account: &Account) -> bool {
    let Ok(metadata) = fs::metadata(dir) else {
        return false;
    };
    let bit = if metadata.uid() == account.uid {
        0o100
    } else if metadata.gid() == account.gid {
        0o010
    } else {
        0o001
    };
    metadata.permissions().mode() & bit != 0
}

/// A number that differs between calls and processes: std seeds its hash maps from the system's random source.
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_directory_with_content_is_refused_and_kept() {
        let dir = env::temp_dir().join(format!("throwaway-pg-test-{:x}", random()));
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("letters"), "precious").unwrap();
        let refused = Directory::prepare(Some(dir.clone()));
        assert!(
            matches!(refused, Err(StartError::NotEmpty { .. })),
            "{refused:?}"
        );
        assert_eq!(fs::read(dir.join("letters")).unwrap(), b"precious");
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_path_too_long_for_a_socket_is_refused() {
        let dir = env::temp_dir().join(format!("{:x}-{}", random(), "d".repeat(MAX_SOCKET_DIR)));
        let refused = Directory::prepare(Some(dir.clone()));
        assert!(
            matches!(refused, Err(StartError::PathTooLong { .. })),
            "{refused:?}"
        );
        assert!(
            !dir.exists(),
            "what was made for the server is removed again"
        );
    }

    #[test]
    fn a_parent_closed_to_the_servers_user_is_named() {
        let closed = env::temp_dir().join(format!("throwaway-pg-test-{:x}", random()));
        fs::DirBuilder::new().mode(0o700).create(&closed).unwrap();
        let as_root = fs::metadata(&closed).unwrap().uid() == 0;
        let outcome = Directory::prepare(Some(closed.join("server")));
        match outcome {
            Err(StartError::Unreachable { parent, .. }) if as_root => {
                assert_eq!(parent, closed.canonicalize().unwrap())
            }
            Ok(directory) if !as_root => assert_eq!(directory.account, None),
            other => panic!("as root: {as_root}, got {other:?}"),
        }
        fs::remove_dir_all(closed).unwrap();
    }
}
