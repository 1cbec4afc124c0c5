//! Uses whose store is not there: nobody takes them over for another journal, and nobody takes away what another one uses.

use std::fs;
use std::io::BufReader;

use hallpass::backup::{self, CarryError};
use hallpass::domain::id::ActivationId;
use hallpass::store;
use redb::Database;

use crate::bound::{House, at};
use crate::used::three_uses;

/// A house whose store is gone, and its key with its pin too; its uses were left behind, and a backup is there.
fn left_behind() -> House {
    let house = House::new();
    three_uses(&house.path("journal.uses"), ActivationId::from_random([7; 16]), "person-1", at(0));
    let backup = house.run(&["backup", "--store", "journal.redb", "--key", "signing.key", "--to", "backup"]);
    assert_eq!(backup.code, 0, "{backup:?}");
    fs::remove_file(house.path("journal.redb")).unwrap();
    house
}

fn aside(house: &House, names: &[&str]) {
    for name in names {
        fs::rename(house.path(name), house.path(&format!("{name} aside"))).unwrap();
    }
}

#[test]
fn a_first_start_takes_over_no_uses_and_says_what_they_are() {
    let house = left_behind();
    let serve = || house.run(&["serve", "--config", "hallpass.toml"]);
    let gone = serve();
    assert!(gone.code == 70 && gone.err.contains("is not at"), "a pinned store comes first: {gone:?}");
    aside(&house, &["signing.key", "signing.key.journal"]);
    let refused = serve();
    assert!(
        refused.code == 70 && refused.err.contains("journal.uses") && refused.err.contains("try again"),
        "{refused:?}"
    );
    assert!(!house.path("signing.key").exists() && !house.path("journal.redb").exists(), "nothing is begun");

    // nothing was ever used
    let settings = house.settings();
    fs::write(house.path("journal.uses"), "").unwrap();
    backup::takes_over_no_uses(&settings).unwrap();
    fs::remove_file(house.path("journal.uses")).unwrap();
    drop(Database::create(house.path("journal.uses")).unwrap());
    backup::takes_over_no_uses(&settings).unwrap();
    // and where there is a journal they are its own
    drop(store::open(&settings, at(1)).unwrap());
    fs::remove_file(house.path("journal.uses")).unwrap();
    three_uses(&house.path("journal.uses"), ActivationId::from_random([7; 16]), "person-1", at(0));
    backup::takes_over_no_uses(&settings).unwrap();
}

#[test]
fn a_restore_says_what_a_cut_off_one_left_and_goes_on_when_it_is_aside() {
    let house = left_behind();
    let restore = || house.run(&["restore", "--from", "backup", "--to", "journal.redb", "--key", "signing.key"]);
    let refused = restore();
    assert!(refused.code == 2 && refused.out.is_empty(), "{refused:?}");
    for told in ["journal.uses", "journal.redb", "a restore that was cut off", "aside"] {
        assert!(refused.err.contains(told), "{told} in {}", refused.err);
    }
    aside(&house, &["journal.uses"]);
    let done = restore();
    assert_eq!(done.code, 0, "{done:?}");
    let again = restore();
    assert!(again.code == 2 && again.err.contains("nothing is ever overwritten"), "{again:?}");
}

#[test]
fn a_restore_that_somebody_overtook_takes_back_its_uses_and_leaves_theirs() {
    let house = left_behind();
    let (store, uses) = (house.path("journal.redb"), house.path("journal.uses"));
    let restore = |meanwhile: &dyn Fn()| {
        let source = BufReader::new(fs::File::open(house.path("backup")).unwrap());
        backup::restore(source, &store, None, &mut |done, all| {
            if done == all {
                meanwhile();
            }
        })
    };
    fs::remove_file(&uses).unwrap();
    let overtaken = restore(&|| fs::write(&store, "theirs").unwrap());
    assert!(matches!(overtaken, Err(CarryError::Store(_))), "{overtaken:?}");
    assert!(!uses.exists() && fs::read(&store).unwrap() == b"theirs");

    fs::remove_file(&store).unwrap();
    let overtaken = restore(&|| {
        fs::write(&store, "theirs").unwrap();
        fs::write(&uses, "theirs").unwrap();
    });
    assert!(matches!(overtaken, Err(CarryError::Store(_))), "{overtaken:?}");
    assert!(fs::read(&uses).unwrap() == b"theirs" && fs::read(&store).unwrap() == b"theirs");
}
