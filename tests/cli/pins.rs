//! Stories of the pin: another journal, an older one and none at all in the place of the one that the key signs.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use hallpass::journal::SigningKey;
use hallpass::store::{self, StoreError, stopped};

use crate::bound::{Forger, House, at, forged, place};
use crate::hallpass::Said;
use crate::years::CONFIGURATION;

/// What everybody says to a store that is not the one the key is bound to.
fn is_refused_everywhere(house: &House, why: &str) {
    let records = || {
        let mut records = Vec::new();
        let journal = stopped::snapshot(&house.path("journal.redb")).unwrap();
        let each = journal.each_record(|record| {
            records.push(record.sealed);
            Ok::<_, StoreError>(())
        });
        each.unwrap();
        records
    };
    let before = records();
    assert!(matches!(house.refused(), StoreError::AnotherJournal { .. }), "{}", house.refused());
    let serve = house.run(&["serve", "--config", "hallpass.toml"]);
    assert!(serve.code == 70 && serve.err.contains(why), "{serve:?}");
    for command in [&["key", "show"][..], &["key", "rotate", "--yes", "--because", "so"]] {
        let refused = house.run(&[command, &["--config", "hallpass.toml"]].concat());
        assert!(refused.code == 70 && refused.err.contains(why), "{refused:?}");
    }
    let check = house.run(&["store", "check", "journal.redb", "--key", "signing.key"]);
    assert!(check.code == 1 && check.err.contains(why) && check.out.is_empty(), "{check:?}");
    let backup = house.run(&["backup", "--store", "journal.redb", "--to", "backup"]);
    assert_eq!(backup.code, 0, "it is sound in itself: {backup:?}");
    let restore = house.run(&["restore", "--from", "backup", "--to", "again.redb", "--key", "signing.key"]);
    assert!(restore.code == 1 && restore.err.contains(why), "{restore:?}");
    assert!(!house.path("again.redb").exists());
    assert_eq!(records(), before, "nothing of ours is added to it");
}

#[test]
fn a_journal_begun_by_somebody_else_and_rotated_to_our_key_is_refused() {
    let house = House::new();
    let (records, root) = forged(&house);
    place(&house.path("journal.redb"), &house.realm, &root, &records);
    is_refused_everywhere(&house, "it names the root key");
    let check = house.run(&["store", "check", "journal.redb", "--public-key", &house.root]);
    assert!(check.code == 1 && check.err.contains("not the journal of the root key that was given"), "{check:?}");
    assert!(!check.err.contains("damaged"), "{check:?}");

    // the attack is a real one: a key that nothing binds believes it, and says whose it is
    fs::remove_file(house.path("signing.key.journal")).unwrap();
    let restore = ["restore", "--from", "backup", "--to", "again.redb", "--key", "signing.key", "--unsigned-end"];
    let restore = house.run(&restore);
    assert!(restore.code == 0 && restore.err.contains("the root key it names itself"), "{restore:?}");
    assert_eq!(store::open(&house.settings(), at(100)).unwrap().reader.public_key().to_string(), root);
}

#[test]
fn a_thief_of_a_retired_key_cannot_write_another_past() {
    let house = House::new();
    let before = house.records();
    let stolen = fs::read(house.path("signing.key")).unwrap();
    house.rotates();
    house.locks("mallory", 20);
    let key = SigningKey::from_pkcs8(&stolen).unwrap();
    let thief = Forger { key, realm: house.realm.clone(), records: before[..1].to_vec() };
    let records = thief.takes_rights_and_rotates_to(&house.key());
    place(&house.path("journal.redb"), &house.realm, &house.root, &records);
    is_refused_everywhere(&house, "what came before was written anew");

    // nor the one that ends where the rotation has not happened yet
    place(&house.path("journal.redb"), &house.realm, &house.root, &before);
    fs::remove_file(house.path("backup")).unwrap();
    is_refused_everywhere(&house, "an older copy");
}

#[test]
fn a_copy_from_before_a_rotation_goes_on_with_the_retired_key_and_its_pin() {
    let house = House::new();
    let copy = fs::read(house.path("journal.redb")).unwrap();
    let kept = house.rotates();
    let pin_of = |key: &Path| PathBuf::from(format!("{}.journal", key.display()));
    fs::write(house.path("journal.redb"), copy).unwrap();
    assert!(matches!(house.refused(), StoreError::AnotherJournal { .. }));
    fs::rename(&kept, house.path("signing.key")).unwrap();
    let refused = house.refused();
    assert!(matches!(refused, StoreError::AnotherJournal { .. }), "the pin of the other key: {refused}");
    fs::rename(pin_of(&kept), house.path("signing.key.journal")).unwrap();
    house.locks("somebody-else", 30);

    // a key whose turn is over says where the right one may be
    house.rotates();
    fs::remove_file(house.path("signing.key.journal")).unwrap();
    let (current, retired) = (house.key(), House::retired(&house.root));
    fs::copy(house.path(&format!("signing.key{retired}")), house.path("signing.key")).unwrap();
    let refused = house.run(&["serve", "--config", "hallpass.toml"]);
    assert_eq!(refused.code, 70, "{refused:?}");
    for told in [current.as_str(), House::retired(&current).as_str(), "hallpass key lost"] {
        assert!(refused.err.contains(told), "{told} in {}", refused.err);
    }
}

#[test]
fn a_store_that_is_gone_is_no_first_start() {
    let house = House::new();
    let (store, key, pin) = (house.path("journal.redb"), house.path("signing.key"), house.path("signing.key.journal"));
    let aside = house.path("aside");
    fs::rename(&store, &aside).unwrap();
    let gone = |house: &House| {
        let refused = house.run(&["serve", "--config", "hallpass.toml"]);
        assert!(refused.code == 70 && refused.err.contains(&house.realm), "{refused:?}");
        assert!(refused.err.contains("is not at") && refused.err.contains("mount its volume"), "{refused:?}");
        assert!(!store.exists(), "nothing is begun in its place");
    };
    gone(&house);
    let own_key = fs::read(&key).unwrap();
    fs::remove_file(&key).unwrap();
    gone(&house);
    assert!(!key.exists(), "and no key is made");

    // a key that was put there beforehand is a first start, and told
    fs::write(&key, &own_key).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(&pin, house.path("pin aside")).unwrap();
    let begun = store::open(&house.settings(), at(50)).unwrap().reader;
    assert_eq!(begun.public_key().to_string(), house.root);
    assert_ne!(begun.realm().unwrap().0, house.realm);
    drop(begun);
    assert_eq!((house.pin().since.sequence, house.pin().root.to_string()), (1, house.root.clone()));
    fs::remove_file(&store).unwrap();
    fs::rename(&aside, &store).unwrap();
    assert!(matches!(house.refused(), StoreError::AnotherJournal { .. }), "the one before is another one now");
    fs::rename(house.path("pin aside"), &pin).unwrap();
    house.locks("somebody-else", 60);
}

#[test]
fn an_older_installation_is_bound_at_its_next_start() {
    let house = House::new();
    house.rotates();
    let pin = house.pin();
    assert_eq!((pin.since.sequence, pin.root.to_string(), pin.key.to_string()), (3, house.root.clone(), house.key()));
    assert_eq!(pin.since.hash, data_encoding::HEXLOWER.encode(&house.records()[2].sealed.hash));
    let path = house.path("signing.key.journal");
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    let written = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    house.records();
    assert_eq!(fs::read(&path).unwrap(), written);

    for (bytes, told) in [
        (b"{}".to_vec(), "missing field"),
        (b"".to_vec(), "EOF"),
        (
            String::from_utf8(written.clone()).unwrap().replace("\"version\": 1", "\"version\": 2").into_bytes(),
            "version 2",
        ),
        (vec![b' '; 5000], "longer than"),
    ] {
        fs::write(&path, bytes).unwrap();
        let refused = house.refused();
        assert!(matches!(&refused, StoreError::Pin { why, .. } if why.contains(told)), "{told}: {refused:?}");
    }
    fs::write(&path, &written).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o660)).unwrap();
    assert!(house.refused().to_string().contains("chmod 600"), "{}", house.refused());
}

#[test]
fn a_rotation_cut_off_anywhere_is_undone_or_finished_with_its_pin() {
    let house = House::new();
    let before = house.files();
    let kept = house.rotates().file_name().unwrap().to_str().unwrap().to_owned();
    let after = house.files();
    let of = |files: &[(String, Vec<u8>)], name: &str| files.iter().find(|(own, _)| own == name).unwrap().1.clone();
    let named = |name: &str, bytes: Vec<u8>| (name.to_owned(), bytes);
    let (store, key, pin, next) = ("journal.redb", "signing.key", "signing.key.journal", "signing.key.next");
    let kept_pin = format!("{kept}.journal");
    let next_key = named(next, of(&after, key));

    // cut off before the record is there: nothing happened, and the next key is as good as none
    house.put_back(&[&before[..], std::slice::from_ref(&next_key)].concat());
    house.locks("somebody-else", 30);
    assert_eq!((house.key(), house.pin().key.to_string()), (house.root.clone(), house.root.clone()));

    // cut off behind it: each step leaves one file more, or another
    let mut files = vec![named(store, of(&after, store)), named(key, of(&before, key)), named(pin, of(&before, pin))];
    files.push(next_key);
    let mut states = vec![("record", files.clone())];
    files.push(named(&kept_pin, of(&before, pin)));
    states.push(("former pin kept", files.clone()));
    files[2].1 = of(&after, pin);
    states.push(("pin", files.clone()));
    files.push(named(&kept, of(&before, key)));
    states.push(("former key kept", files.clone()));
    for (number, (cut, files)) in states.iter().enumerate() {
        // and whatever had no name of its own yet
        let mut left = vec![(key, key), (next, key), (pin, pin), (&kept, key)];
        left.extend((number < 2).then_some((kept_pin.as_str(), pin)));
        let unfinished = left.iter().map(|(name, bytes)| named(&format!("{name}.unfinished"), of(&before, bytes)));
        house.put_back(&files.iter().cloned().chain(unfinished).collect::<Vec<_>>());
        house.locks("somebody-else", 40);
        let (finished, whole) = (house.files(), after.clone());
        let rest =
            |files: &[(String, Vec<u8>)]| files.iter().filter(|(name, _)| name != store).cloned().collect::<Vec<_>>();
        assert_eq!(rest(&finished), rest(&whole), "cut behind: {cut}");

        // and the store of somebody else is no more believed in between than ever
        house.put_back(files);
        let (records, root) = forged(&house);
        place(&house.path(store), &house.realm, &root, &records);
        assert!(matches!(house.refused(), StoreError::AnotherJournal { .. }), "cut behind: {cut}");
    }
}

#[test]
fn a_lost_key_is_followed_by_the_pin_of_the_new_one_even_when_that_was_cut_off() {
    let house = House::new();
    let old = house.path("old.redb");
    fs::rename(house.path("journal.redb"), &old).unwrap();
    fs::remove_file(house.path("signing.key")).unwrap();
    let lost = |old: &str, root: &str| {
        let config = ["key", "lost", "--config", "hallpass.toml", "--because", "the disk burnt", "--yes"];
        house.run(&[&config[..], &["--old-store", old, "--key", root]].concat())
    };
    let other = House::new();
    let refused = lost(other.path("journal.redb").to_str().unwrap(), &other.root);
    assert!(
        refused.code == 70 && refused.err.contains("not the journal that the signing key is bound to"),
        "{refused:?}"
    );

    fs::write(house.path("journal.uses"), "").unwrap();
    let refused = lost(old.to_str().unwrap(), &house.root);
    assert!(refused.code == 2 && refused.err.contains("journal.uses"), "the old journal's uses: {refused:?}");
    fs::rename(house.path("journal.uses"), old.with_extension("uses")).unwrap();

    // as if it had been cut off when only the new key was made
    let (_, bytes) = SigningKey::generate().unwrap();
    fs::write(house.path("signing.key"), &*bytes).unwrap();
    fs::set_permissions(house.path("signing.key"), fs::Permissions::from_mode(0o600)).unwrap();
    assert!(matches!(house.refused(), StoreError::JournalGone { .. }), "it must be given once more");
    let done = lost(old.to_str().unwrap(), &house.root);
    assert_eq!(done.code, 0, "{done:?}");
    let (pin, key) = (house.pin(), house.key());
    assert_eq!((pin.root, pin.key.to_string(), pin.since.sequence), (pin.key, house.key(), 1));

    // as if it had been cut off when the new store was made, or when the lost key's pin was kept
    let kept_pin = house.path(&format!("signing.key{}.journal", House::retired(&house.root)));
    for is_kept in [false, true] {
        fs::copy(&kept_pin, house.path("signing.key.journal")).unwrap();
        if !is_kept {
            fs::remove_file(&kept_pin).unwrap();
        }
        assert!(matches!(house.refused(), StoreError::AnotherJournal { .. }), "the lost key's pin");
        let refused = lost(other.path("journal.redb").to_str().unwrap(), &other.root);
        assert!(refused.code == 2 && refused.err.contains("journal.redb"), "it follows another one: {refused:?}");
        let done = lost(old.to_str().unwrap(), &house.root);
        assert!(done.code == 0 && done.out.contains("the new journal is there"), "{done:?}");
        assert_eq!((house.key(), house.pin()), (key.clone(), pin.clone()));
    }
    assert!(kept_pin.exists());
    house.locks("somebody", 10_000_000);
    let taken = lost(old.to_str().unwrap(), &house.root);
    assert!(taken.code == 2 && taken.err.contains("journal.redb"), "{taken:?}");
}

#[test]
fn what_root_does_for_a_stopped_service_leaves_the_files_to_it() {
    const SERVICE: u32 = 12_345;
    let house = House::new();
    let as_service = |arguments: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args([format!("--reuid={SERVICE}"), format!("--regid={SERVICE}"), "--clear-groups".to_owned()]);
        command.arg(env!("CARGO_BIN_EXE_hallpass")).args(arguments).current_dir("/");
        command.output().ok().filter(|output| output.status.code().is_some()).map(Said::from)
    };
    let is_root = std::os::unix::fs::chown(house.folder.path(), Some(SERVICE), Some(SERVICE)).is_ok();
    if !is_root || as_service(&["--version"]).is_none_or(|said| said.code != 0) {
        println!("LEFT OUT, because nobody else can be: what root leaves to a service");
        return;
    }
    fs::write(house.path("hallpass.toml"), CONFIGURATION).unwrap();
    for (name, _) in house.files() {
        std::os::unix::fs::chown(house.path(&name), Some(SERVICE), Some(SERVICE)).unwrap();
    }
    fs::set_permissions(house.path("hallpass.toml"), fs::Permissions::from_mode(0o644)).unwrap();
    let config = house.path("hallpass.toml").display().to_string();
    let rotated = house.run(&["key", "rotate", "--yes", "--because", "somebody left", "--config", &config]);
    assert_eq!(rotated.code, 0, "{rotated:?}");
    let backup = house.run(&["backup", "--store", "journal.redb", "--to", "backup", "--key", "signing.key"]);
    assert_eq!(backup.code, 0, "{backup:?}");
    fs::remove_file(house.path("journal.redb")).unwrap();
    let restore = house.run(&["restore", "--from", "backup", "--to", "journal.redb", "--key", "signing.key"]);
    assert!(restore.code == 0 && !restore.err.contains("the root key it names itself"), "{restore:?}");
    fs::remove_file(house.path("backup")).unwrap();
    let names: Vec<String> = house.files().into_iter().map(|(name, _)| name).collect();
    for name in ["anchors", "journal.redb", "journal.redb.anchored", "signing.key", "signing.key.journal"] {
        assert!(names.iter().any(|own| own == name), "{name} in {names:?}");
    }
    assert_eq!(names.iter().filter(|name| name.contains(".retired-")).count(), 2, "{names:?}");
    for name in names {
        let about = fs::metadata(house.path(&name)).unwrap();
        assert_eq!((about.uid(), about.gid(), about.mode() & 0o7777), (SERVICE, SERVICE, 0o600), "{name}");
    }
    let shown = as_service(&["key", "show", "--config", &config]).unwrap();
    assert!(shown.code == 0 && shown.out.contains(&house.root), "{shown:?}");

    // where nothing may be written beside the key it goes on without a pin, and stays bound where there is one
    let lent = house.path("lent");
    fs::create_dir(&lent).unwrap();
    fs::set_permissions(&lent, fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(house.path("signing.key"), lent.join("signing.key")).unwrap();
    fs::write(&config, CONFIGURATION.replace("signing.key", "lent/signing.key")).unwrap();
    let shown = as_service(&["key", "show", "--config", &config]).unwrap();
    assert!(shown.code == 0 && !lent.join("signing.key.journal").exists(), "{shown:?}");
    fs::rename(house.path("signing.key.journal"), lent.join("signing.key.journal")).unwrap();
    fs::rename(house.path("journal.redb"), house.path("aside")).unwrap();
    let gone = as_service(&["key", "show", "--config", &config]).unwrap();
    assert!(gone.code == 70 && gone.err.contains("is not at"), "{gone:?}");
}
