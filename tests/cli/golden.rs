//! Backups of every format ever shipped: they verify, and the store made of each is whole and has all that was in it.

use std::path::Path;

use crate::hallpass::{program, said};

/// Each file, the records and the rows of uses in it, and whether somebody signed where it ends.
const SHIPPED: [(&str, u64, u64, bool); 3] =
    [("backup-v1", 6, 2, false), ("backup-v2", 6, 2, true), ("backup-v2-cut", 2, 0, true)];
const ROOT: &str = "ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c";

#[test]
fn every_backup_ever_shipped_verifies_and_becomes_a_store() {
    for (name, records, rows, is_signed) in SHIPPED {
        let folder = tempfile::tempdir().unwrap();
        let (file, store) = (Path::new("tests/golden").join(name), folder.path().join("store.redb"));
        let verified = said(program().args(["audit", "verify", "--public-key", ROOT]).arg(&file));
        assert_eq!(verified.code, 0, "{name}: {verified:?}");
        let restored =
            said(program().args(["restore", "--public-key", ROOT, "--from"]).arg(&file).arg("--to").arg(&store));
        assert_eq!(restored.code, 0, "{name}: {restored:?}");
        let checked = said(program().args(["store", "check", "--public-key", ROOT]).arg(&store));
        assert_eq!(checked.code, 0, "{name}: {checked:?}");
        let told = if is_signed {
            ["that the backup ends here", "an older copy in its place shows only against"]
        } else {
            ["nobody signed where this backup ends", "a cut end shows only against"]
        };
        let of_its_end = [verified.out, verified.err].concat();
        assert!(told.iter().all(|told| of_its_end.contains(told)), "{name}: {of_its_end}");
        let counts = format!("restored    {records} records and {rows} rows of uses, verified");
        assert!(restored.out.contains(&counts), "{name}: {}", restored.out);
    }
}
