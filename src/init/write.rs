//! Writes the files of `crossfade init`: all of them or none, and never over another.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// What is there already at these paths, or under YAML's other ending.
pub(crate) fn existing<'a>(
    folder: &Path,
    paths: impl IntoIterator<Item = &'a str>,
) -> impl Iterator<Item = String> {
    let both = paths.into_iter().flat_map(|path| [path.to_owned(), path.replace(".yml", ".yaml")]);
    both.filter(|path| folder.join(path).symlink_metadata().is_ok())
}

/// The root of the checkout that a folder lies in, if that is another folder.
pub(crate) fn root_above(folder: &Path) -> Option<PathBuf> {
    let folder = folder.canonicalize().ok()?;
    let mut ancestors = folder.ancestors();
    ancestors.next().filter(|folder| !folder.join(".git").exists())?;
    ancestors.find(|folder| folder.join(".git").exists()).map(Path::to_owned)
}

/// Writes every file, or none. Each one is complete before it gets its name.
pub(crate) fn write(folder: &Path, files: &[(&str, String)]) -> Result<(), String> {
    let failed = |path: &str, error: &io::Error| {
        let why =
            if error.kind() == io::ErrorKind::Other { error.to_string() } else { error.kind().to_string() };
        format!("{path} could not be written: {why}. No file was written.")
    };
    let mut written = Written::default();
    for (path, text) in files {
        let complete = folder.join(path);
        stays_within(folder, &complete)
            .and_then(|()| written.draft(&complete, text))
            .map_err(|error| failed(path, &error))?;
    }
    for (path, _) in files {
        written.publish(&folder.join(path)).map_err(|error| failed(path, &error))?;
    }
    written.is_complete = true;
    Ok(())
}

/// The files of one call; removed again unless all of them were written.
#[derive(Default)]
struct Written {
    drafts: Vec<PathBuf>,
    files: Vec<PathBuf>,
    is_complete: bool,
}

impl Written {
    fn draft(&mut self, path: &Path, text: &str) -> io::Result<()> {
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        let draft = draft_of(path);
        // A killed process with the same number may have left one.
        let _ = fs::remove_file(&draft);
        let mut file = OpenOptions::new().write(true).create_new(true).open(&draft)?;
        self.drafts.push(draft);
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all())
    }

    fn publish(&mut self, path: &Path) -> io::Result<()> {
        // Unlike a renaming, a link replaces nothing.
        match fs::hard_link(draft_of(path), path) {
            Err(error)
                if error.kind() != io::ErrorKind::AlreadyExists && path.symlink_metadata().is_err() =>
            {
                // A file system without links.
                fs::rename(draft_of(path), path)?;
            }
            linked => linked?,
        }
        self.files.push(path.to_owned());
        Ok(())
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        let files = self.files.iter().filter(|_| !self.is_complete);
        for path in self.drafts.iter().chain(files) {
            let _ = fs::remove_file(path);
        }
    }
}

fn draft_of(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.tmp", std::process::id()))
}

/// Refuses a path whose folders are links out of the checkout.
fn stays_within(root: &Path, path: &Path) -> io::Result<()> {
    let root = root.canonicalize()?;
    let parents = path.ancestors().skip(1);
    match parents.filter_map(|parent| parent.canonicalize().ok()).next() {
        Some(parent) if !parent.starts_with(&root) => Err(io::Error::other(format!(
            "its folder is a link to {}, outside the checkout",
            parent.display()
        ))),
        _ => Ok(()),
    }
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

    #[cfg(unix)]
    #[test]
    fn a_folder_that_leads_out_of_the_checkout_is_refused() {
        let (root, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::os::unix::fs::symlink(elsewhere.path(), root.path().join("a")).unwrap();
        let error = write(root.path(), &files()).unwrap_err();
        assert!(error.contains("outside the checkout"), "{error}");
        assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);

        fs::remove_file(root.path().join("a")).unwrap();
        fs::create_dir(root.path().join("within")).unwrap();
        std::os::unix::fs::symlink("within", root.path().join("a")).unwrap();
        write(root.path(), &files()).unwrap();
        assert_eq!(fs::read_to_string(root.path().join("within/one.yml")).unwrap(), "1");
    }

    #[test]
    fn a_file_has_its_name_only_once_all_are_complete() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("a")).unwrap();
        // Nothing can be written below a file.
        fs::write(folder.path().join("a/b"), "mine").unwrap();
        let mut written = Written::default();
        written.draft(&folder.path().join("a/one.yml"), "1").unwrap();
        assert!(!folder.path().join("a/one.yml").exists(), "as after a kill");
        drop(written);
        assert!(write(folder.path(), &files()).is_err());
        let names = fs::read_dir(folder.path().join("a")).unwrap();
        assert_eq!(names.map(|one| one.unwrap().file_name()).collect::<Vec<_>>(), ["b"], "no draft is left");
    }

    #[test]
    fn the_other_ending_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("one.yaml"), "mine").unwrap();
        assert_eq!(existing(folder.path(), ["one.yml", "two.yml"]).collect::<Vec<_>>(), ["one.yaml"]);
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
