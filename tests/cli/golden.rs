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
        let whose = ["--public-key", ROOT];
        let verify = || {
            let mut command = program();
            command.args(["audit", "verify"]).args(whose).arg(&file);
            command
        };
        let restore = || {
            let mut command = program();
            command.args(["restore", "--from"]).arg(&file).arg("--to").arg(&store).args(whose);
            command
        };
        let accepted: &[&str] = if is_signed { &[] } else { &["--unsigned-end"] };
        if !is_signed {
            for refused in [said(&mut verify()), said(&mut restore())] {
                assert_eq!(refused.code, 1, "{name}: {refused:?}");
                let told = ["nobody signed where this backup ends", "give --unsigned-end"];
                assert!(told.iter().all(|told| refused.err.contains(told)), "{name}: {refused:?}");
                assert!(!refused.out.contains("verified") && !store.exists(), "{name}: {refused:?}");
            }
        }
        let verified = said(verify().args(accepted));
        assert_eq!(verified.code, 0, "{name}: {verified:?}");
        let restored = said(restore().args(accepted));
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
