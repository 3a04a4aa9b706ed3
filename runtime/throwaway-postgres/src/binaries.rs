use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::StartError;

/// Where Debian and Ubuntu put one folder per major version.
const VERSIONED: &str = "/usr/lib/postgresql";

/// The folder with `initdb` and `postgres`: the newest of `/usr/lib/postgresql/*/bin`, else the first in `PATH`.
///
/// The versioned folders come first because `PATH` on Debian holds clients only.
///
/// # Errors
/// [`StartError::NoBinaries`], which names the package to install.
pub fn find_binaries() -> Result<PathBuf, StartError> {
    let path = env::var_os("PATH").unwrap_or_default();
    newest_versioned(Path::new(VERSIONED))
        .or_else(|| env::split_paths(&path).find(|folder| holds_server(folder)))
        .ok_or(StartError::NoBinaries)
}

pub(crate) fn holds_server(folder: &Path) -> bool {
    folder.join("initdb").is_file() && folder.join("postgres").is_file()
}

fn newest_versioned(root: &Path) -> Option<PathBuf> {
    fs::read_dir(root)
        .ok()?
        .flatten()
        .filter_map(|entry| {
            let version = parse_version(entry.file_name().to_str()?)?;
            let bin = entry.path().join("bin");
            holds_server(&bin).then_some((version, bin))
        })
        .max_by(|a, b| a.0.cmp(&b.0))
        .map(|(_, bin)| bin)
}

/// `9.6` is older than `15`: compared number by number.
fn parse_version(name: &str) -> Option<Vec<u32>> {
    name.split('.').map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_newest_complete_version_wins() {
        let root = env::temp_dir().join(format!(
            "throwaway-postgres-versions-{}",
            std::process::id()
        ));
        for (version, complete) in [("9.6", true), ("15", true), ("17", false), ("18-old", true)] {
            let bin = root.join(version).join("bin");
            fs::create_dir_all(&bin).unwrap();
            fs::write(bin.join("initdb"), "").unwrap();
            if complete {
                fs::write(bin.join("postgres"), "").unwrap();
            }
        }
        let found = newest_versioned(&root);
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(found, Some(root.join("15/bin")));
        assert_eq!(newest_versioned(&root), None);
    }
}
