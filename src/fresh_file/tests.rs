//! Names: when a file has one, and which.

use std::io::{Read as _, Write as _};

use super::*;

/// As many names as there are in the folder of `path`.
fn names_beside(path: &Path) -> usize {
    fs::read_dir(folder_of(path)).unwrap().count()
}

fn filled(made: io::Result<FreshFile>, text: &str) -> FreshFile {
    let fresh = made.unwrap();
    fresh.file().write_all(text.as_bytes()).unwrap();
    fresh
}

/// Both kinds: without a name, and, as on file systems that know none such, with one.
const KINDS: [fn(&Path) -> io::Result<FreshFile>; 2] = [FreshFile::unnamed, FreshFile::named];

#[test]
fn a_file_has_its_name_when_it_is_placed_and_takes_no_other_place() {
    for make in KINDS {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        drop(filled(make(&path), "given up"));
        assert_eq!(names_beside(&path), 0, "what is given up is gone");
        filled(make(&path), "first").place().unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        let refused = filled(make(&path), "second").place().unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "first");
        filled(make(&path), "third").replace().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "third");
        assert_eq!(names_beside(&path), 1);
    }
}

#[test]
fn what_a_kill_left_is_written_over_or_cleared() {
    for make in KINDS {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let left = || {
            fs::write(unfinished(&path), "words that were erased since, at some length").unwrap();
            fs::set_permissions(unfinished(&path), fs::Permissions::from_mode(0o644)).unwrap();
        };
        left();
        filled(make(&path), "short").replace().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "short");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(names_beside(&path), 1);
        left();
        clear(&path).unwrap();
        clear(&path).unwrap();
        assert_eq!(names_beside(&path), 1);
    }
}

#[test]
fn what_is_held_can_be_taken_back_while_it_has_its_name() {
    for make in KINDS {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let held = filled(make(&path), "ours").place_held().unwrap();
        assert!(File::open(&path).unwrap().try_lock().is_err(), "nobody can begin to use it");
        held.take_back().unwrap();
        assert_eq!(names_beside(&path), 0);

        let held = filled(make(&path), "ours").place_held().unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "theirs").unwrap();
        held.take_back().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "theirs");

        drop(filled(make(&folder.path().join("other")), "ours").place_held().unwrap());
        File::open(folder.path().join("other")).unwrap().try_lock().unwrap();
        assert_eq!(names_beside(&path), 2);
    }
}

#[test]
fn a_folder_that_is_made_is_as_durable_as_what_is_put_there() {
    let above = tempfile::tempdir().unwrap();
    let (mut synced, below) = (Vec::new(), above.path().join("one/two"));
    let mut note = |path: &Path| {
        synced.push(path.to_owned());
        sync_folder_of(path)
    };
    make_folder(&below, &mut note).unwrap();
    make_folder(&below, &mut note).unwrap();
    make_folder(&below.join("three"), &mut note).unwrap();
    assert_eq!(synced, ["one", "one/two", "one/two/three"].map(|name| above.path().join(name)), "each once");
    for folder in synced {
        assert_eq!(fs::metadata(folder).unwrap().permissions().mode() & 0o7777, 0o700);
    }
    fs::write(above.path().join("file"), "").unwrap();
    assert!(make_folder_of(&above.path().join("file/below")).is_err());
    make_folder_of(Path::new("here")).unwrap();
    make_folder_of(Path::new("/")).unwrap();
}

#[test]
fn an_unnamed_file_cannot_be_found_and_a_named_one_is_made_by_one_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let unnamed = filled(FreshFile::beside(&path), "secret");
    assert_eq!(names_beside(&path), 0, "a kill would leave nothing");
    let named = filled(FreshFile::named(&path), "one");
    assert_eq!(FreshFile::named(&path).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    let mut text = String::new();
    File::open(unfinished(&path)).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "one", "who came second has changed nothing");
    named.place().unwrap();
    assert!(is_at(&File::open(&path).unwrap(), &path).unwrap());
    assert!(!is_at(unnamed.file(), &path).unwrap());
}
