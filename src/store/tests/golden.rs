//! Store files of every format ever shipped: they open, are brought up to date from their own journal, and say the same.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::*;
use crate::domain::activation::Phase;

/// Each file, its root key, and how many records it holds.
const SHIPPED: [(&str, &str, u64); 2] = [("store-v1.redb", ROOT, 17), ("store-v2.redb", ROOT, 22)];
const ROOT: &str = "ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c";

#[test]
fn every_store_file_ever_shipped_opens_and_says_the_same() {
    for (file, public_key, records) in SHIPPED {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings { path: folder.path().join(file), key_path: folder.path().join("key") };
        std::fs::copy(Path::new("tests/golden").join(file), &settings.path).unwrap();
        write_key_of_sevens(&settings.key_path);
        // the first opening brings it up to date, the second finds it so
        for _ in 0..2 {
            let opened = open(&settings, at(100_000)).unwrap_or_else(|error| panic!("{file}: {error}"));
            assert_eq!(opened.reader.public_key().to_string(), public_key, "{file}");
            opened.reader.check_rows().unwrap();
            assert_eq!(opened.reader.head().unwrap().position, Position(records), "{file}: no record is added");
            let case = opened.reader.activation(act(1)).unwrap().unwrap();
            assert!(matches!(case.item.phase, Phase::Ended { ending: Ending::Expired, .. }), "{file}");
        }
    }
}

/// Format 3, whose records 2 to 22 were cut: what they had come to is carried.
#[test]
fn a_store_file_that_was_cut_opens_and_says_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { path: folder.path().join("store"), key_path: folder.path().join("key") };
    std::fs::copy("tests/golden/store-v3-cut.redb", &settings.path).unwrap();
    write_key_of_sevens(&settings.key_path);
    stopped::check(&settings.path, Some(ROOT.parse().unwrap()), &mut |_, _| {}).unwrap();
    let reader = open(&settings, at(20_000_000)).unwrap().reader;
    assert_eq!(reader.head().unwrap().position, Position(23));
    let cut = reader.cut().unwrap().unwrap();
    assert_eq!((cut.by, cut.last(), cut.count()), (23, 22, 21));
    assert!(reader.activation(act(1)).unwrap().is_none(), "its case is over and gone");
    assert_eq!(reader.assignments(&AssignmentFilter::default(), None, 10).unwrap().len(), 4, "what stands, stands");
}

/// The Ed25519 key made of 32 sevens, as PKCS #8.
fn write_key_of_sevens(path: &Path) {
    let prefix = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    let mut file = std::fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(path).unwrap();
    file.write_all(&[&prefix[..], &[7; 32]].concat()).unwrap();
}
