//! The folder of archives: there, a folder, and nobody else's.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use hallpass::domain::time::Span;

use crate::{MINIMAL, load};

#[test]
fn the_folder_of_archives_must_be_there_and_nobody_elses() {
    let folder = tempfile::tempdir().unwrap();
    let (archive, file) = (folder.path().join("archive"), folder.path().join("file"));
    let written = |path: &std::path::Path| {
        load(&format!("{MINIMAL}\n[retention]\nkeep = \"400d\"\narchive = \"{}\"\n", path.display()))
    };
    let refused = |path| written(path).unwrap_err().to_string();
    assert!(refused(&archive).contains("cannot be used: No such file"), "{}", refused(&archive));
    fs::write(&file, "").unwrap();
    assert!(refused(&file).contains("is no folder"), "{}", refused(&file));
    fs::create_dir(&archive).unwrap();
    for (mode, found) in [(0o700, ""), (0o750, "it should be 700"), (0o755, "it should be 700")] {
        fs::set_permissions(&archive, PermissionsExt::from_mode(mode)).unwrap();
        let config = written(&archive).unwrap();
        let told: Vec<String> = config.warnings.iter().map(ToString::to_string).collect();
        assert_eq!(told.iter().any(|told| told.contains("chmod 700")), !found.is_empty(), "{mode:o}: {told:?}");
        assert!(told.concat().contains(found), "{mode:o}: {told:?}");
        let retention = config.retention.unwrap();
        assert_eq!((retention.keep, retention.archive.as_path()), (Span::days(400), archive.as_path()));
    }
    for mode in [0o770, 0o702, 0o1777] {
        fs::set_permissions(&archive, PermissionsExt::from_mode(mode)).unwrap();
        let told = refused(&archive);
        assert!(told.contains(&format!("has mode {mode:o}: others could take archives away")), "{told}");
    }
    assert!(load(MINIMAL).unwrap().retention.is_none(), "nothing is cut unless somebody says so");
}

#[test]
fn a_folder_of_the_key_that_others_may_write_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys");
    fs::create_dir(&keys).unwrap();
    let text = format!("{MINIMAL}\n[store]\nkey_file = \"{}\"\n", keys.join("signing.key").display());
    for (mode, warned) in [(0o700, false), (0o755, false), (0o1777, false), (0o777, true), (0o770, true)] {
        fs::set_permissions(&keys, PermissionsExt::from_mode(mode)).unwrap();
        let told: Vec<String> = load(&text).unwrap().warnings.iter().map(ToString::to_string).collect();
        let is_warned = told.iter().any(|told| told.contains("store.key_file") && told.contains("chmod 700"));
        assert_eq!(is_warned, warned, "{mode:o}: {told:?}");
    }
}
