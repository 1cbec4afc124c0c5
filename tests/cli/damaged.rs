//! A store of which one page is not what was written: what is lost is told apart from what can be made again.

use std::fs;

use crate::years::Years;

#[test]
fn a_store_whose_journal_is_whole_is_made_sound_again_whatever_page_was_damaged() {
    let years = Years::write();
    let sound = fs::read(years.path("journal.redb")).unwrap();
    let head = years.verify(&["journal.redb"]);
    assert_eq!(head.code, 0, "{head:?}");
    let (mut mended, mut lost, mut unharmed) = (0, 0, 0);
    // the first page holds where everything is
    for page in 1..sound.len() / PAGE {
        let mut changed = sound.clone();
        changed[page * PAGE + 64..page * PAGE + 128].iter_mut().for_each(|byte| *byte ^= 0xff);
        fs::write(years.path("journal.redb"), &changed).unwrap();
        let checked = years.run(&["store", "check", "journal.redb"]);
        let verified = years.verify(&["journal.redb"]);
        if checked.code == 0 {
            assert_eq!(verified.code, 0, "page {page}: {verified:?}");
            unharmed += 1;
            continue;
        }
        assert!((checked.code, verified.code) == (1, 1), "page {page}: {checked:?} {verified:?}");
        let rebuilt = years.run(&["store", "rebuild", "journal.redb"]);
        if checked.err.contains("its journal is whole") {
            assert!(verified.err.contains("the store is damaged"), "page {page}: {verified:?}");
            assert_eq!(rebuilt.code, 0, "page {page}: {rebuilt:?}");
            assert_eq!(years.run(&["store", "check", "journal.redb"]).code, 0, "page {page}");
            assert_eq!(years.verify(&["journal.redb"]).out, head.out, "page {page}");
            mended += 1;
        } else {
            assert!(checked.err.contains("restore a backup"), "page {page}: {checked:?}");
            assert_eq!(rebuilt.code, 1, "page {page}: {rebuilt:?}");
            assert_eq!(fs::read(years.path("journal.redb")).unwrap(), changed, "page {page}: it is as it was");
            lost += 1;
        }
    }
    println!("{mended} mended, {lost} lost, {unharmed} unharmed");
    assert!(mended > 0 && lost > 0, "{mended} mended, {lost} lost, {unharmed} unharmed");
}

const PAGE: usize = 4096;
