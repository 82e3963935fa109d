//! Writes the files of `crossfade init`: all of them or none, and never over another.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// The paths of which something is there already.
pub(crate) fn existing<'a>(
    folder: &Path,
    paths: impl IntoIterator<Item = &'a str>,
) -> impl Iterator<Item = &'a str> {
    paths.into_iter().filter(|path| folder.join(path).symlink_metadata().is_ok())
}

/// The root of the checkout that a folder lies in, if that is another folder.
pub(crate) fn root_above(folder: &Path) -> Option<PathBuf> {
    let folder = folder.canonicalize().ok()?;
    let mut ancestors = folder.ancestors();
    ancestors.next().filter(|folder| !folder.join(".git").exists())?;
    ancestors.find(|folder| folder.join(".git").exists()).map(Path::to_owned)
}

/// Writes every file, or none.
///
/// # Errors
/// What failed, with the path.
pub(crate) fn write(folder: &Path, files: &[(&str, String)]) -> Result<(), String> {
    for (index, (path, text)) in files.iter().enumerate() {
        let Err(error) = write_new(&folder.join(path), text) else { continue };
        for (path, _) in &files[..index] {
            let _ = fs::remove_file(folder.join(path));
        }
        return Err(format!("{path} could not be written: {}. No file was written.", error.kind()));
    }
    Ok(())
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(text.as_bytes()).inspect_err(|_| {
        let _ = fs::remove_file(path);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> Vec<(&'static str, String)> {
        vec![("a/one.yml", "1".to_owned()), ("a/b/two.yml", "2".to_owned())]
    }

    #[test]
    fn all_files_are_written_or_none() {
        let folder = tempfile::tempdir().unwrap();
        let second = folder.path().join("a/b/two.yml");
        fs::create_dir_all(second.parent().unwrap()).unwrap();
        fs::write(&second, "mine").unwrap();
        assert_eq!(
            existing(folder.path(), ["a/one.yml", "a/b/two.yml"]).collect::<Vec<_>>(),
            ["a/b/two.yml"]
        );
        let error = write(folder.path(), &files()).unwrap_err();
        assert!(error.starts_with("a/b/two.yml could not be written"), "{error}");
        assert!(!folder.path().join("a/one.yml").exists());
        assert_eq!(fs::read_to_string(&second).unwrap(), "mine");

        fs::remove_file(&second).unwrap();
        write(folder.path(), &files()).unwrap();
        assert_eq!(fs::read_to_string(&second).unwrap(), "2");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("a/one.yml"));
        fs::create_dir(folder.path().join("a")).unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert_eq!(existing(folder.path(), ["a/one.yml"]).count(), 1);
        assert!(write(folder.path(), &files()).is_err());
        assert!(!target.exists());
    }

    #[test]
    fn the_root_of_a_checkout_is_found_from_below() {
        let root = tempfile::tempdir().unwrap();
        let below = root.path().join("a/b");
        fs::create_dir_all(&below).unwrap();
        assert_eq!(root_above(&below), None);
        fs::create_dir(root.path().join(".git")).unwrap();
        assert_eq!(root_above(&below), Some(root.path().canonicalize().unwrap()));
        assert_eq!(root_above(root.path()), None);
    }
}
