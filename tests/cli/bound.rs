//! A store whose key is bound to it, and somebody who writes another one.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use hallpass::domain::assignment::{Assignment, AssignmentKind, Origin};
use hallpass::domain::event::{Actor, Detail, Event};
use hallpass::domain::id::{AssignmentId, CommandId};
use hallpass::domain::principal::Principal;
use hallpass::domain::standing::Position;
use hallpass::domain::time::{Timestamp, Window};
use hallpass::journal::record::VERSION;
use hallpass::journal::{Exported, Record, SigningKey, chain};
use hallpass::store::{self, Header, Opened, Piece, Pin, RecordFilter, Settings, StoreError, stopped};
use tempfile::TempDir;

use crate::hallpass::{Said, program, said};
use crate::years::CONFIGURATION;

/// A configuration, a store with a few records and its key; closed.
pub(crate) struct House {
    pub(crate) folder: TempDir,
    pub(crate) root: String,
    pub(crate) realm: String,
}

impl House {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("hallpass.toml"), CONFIGURATION.replace("file = \"anchors\"", "")).unwrap();
        let settings = settings(folder.path());
        let Opened { reader, appender } = store::open(&settings, at(0)).unwrap();
        let (realm, root) = reader.realm().unwrap();
        drop((reader, appender));
        let house = Self { folder, root, realm };
        house.locks("somebody", 1);
        house
    }

    pub(crate) fn settings(&self) -> Settings {
        settings(self.folder.path())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn key(&self) -> String {
        store::public_key_in_file(&self.settings().key_path).unwrap().unwrap().to_string()
    }

    pub(crate) fn pin(&self) -> Pin {
        Pin::beside(&self.settings().key_path).unwrap().unwrap()
    }

    /// One more record.
    pub(crate) fn locks(&self, who: &str, second: i64) {
        let mut opened = store::open(&self.settings(), at(second)).unwrap();
        let command = CommandId::from_random([9; 16]);
        let header = Header { command, time: at(second), actor: Actor::Hallpass, idempotency: None };
        let mut transaction = opened.appender.begin().unwrap();
        transaction.append(&header, &[locked(who)], &Detail::default()).unwrap();
        transaction.commit().unwrap();
    }

    /// Rotates as whoever operates does; where the former key is kept.
    pub(crate) fn rotates(&self) -> PathBuf {
        store::rotate_key(&self.settings(), at(10), &Detail::default()).unwrap().kept
    }

    pub(crate) fn records(&self) -> Vec<Exported> {
        let reader = store::open(&self.settings(), at(100)).unwrap().reader;
        reader.exported(&RecordFilter::default(), Position(0), 100).unwrap()
    }

    pub(crate) fn refused(&self) -> StoreError {
        store::open(&self.settings(), at(100)).err().unwrap()
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        said(program().current_dir(self.folder.path()).args(arguments))
    }

    /// Where a key of this public half is kept when it is retired.
    pub(crate) fn retired(key: &str) -> String {
        format!(".retired-{}", key.chars().take(16).collect::<String>())
    }

    /// What lies in the folder, with what it holds.
    pub(crate) fn files(&self) -> Vec<(String, Vec<u8>)> {
        let files = fs::read_dir(self.folder.path()).unwrap().map(|file| {
            let file = file.unwrap();
            (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap())
        });
        let mut files: Vec<_> = files.filter(|(name, _)| name != "hallpass.toml").collect();
        files.sort();
        files
    }

    /// As it was, file by file.
    pub(crate) fn put_back(&self, files: &[(String, Vec<u8>)]) {
        for (name, _) in self.files() {
            fs::remove_file(self.path(&name)).unwrap();
        }
        for (name, bytes) in files {
            fs::write(self.path(name), bytes).unwrap();
            fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).unwrap();
        }
    }
}

pub(crate) fn settings(folder: &Path) -> Settings {
    Settings { path: folder.join("journal.redb"), key_path: folder.join("signing.key") }
}

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_seconds(1_795_000_000 + second)
}

pub(crate) fn locked(who: &str) -> Event {
    Event::PrincipalLocked { principal: Principal::new("https://id.example", who) }
}

/// Somebody who writes a journal of their own.
pub(crate) struct Forger {
    pub(crate) key: SigningKey,
    pub(crate) realm: String,
    pub(crate) records: Vec<Exported>,
}

impl Forger {
    pub(crate) fn writes(&mut self, event: Event) {
        let (sequence, previous) =
            self.records.last().map_or((1, [0; 32]), |last| (last.sequence + 1, last.sealed.hash));
        let time = at(0);
        let command = CommandId::from_random([8; 16]);
        let actor = Actor::Hallpass;
        let record = Record { version: VERSION, time, actor, command, event, detail: None, idempotency: None };
        let sealed = chain::seal(&self.key, &self.realm, sequence, previous, record.encode().unwrap());
        self.records.push(Exported::new(sequence, sealed, None, time));
    }

    /// Rights of their own, and a key that signs on.
    pub(crate) fn takes_rights_and_rotates_to(mut self, key: &str) -> Vec<Exported> {
        for (number, role) in [(1, "hallpass/administrator"), (2, "shop/vault-reader")] {
            let assignment = Assignment {
                id: AssignmentId::from_random([number; 16]),
                kind: AssignmentKind::Active,
                role: role.parse().unwrap(),
                party: Principal::new("https://id.example", "mallory").into(),
                window: Window::permanent(at(0)),
                origin: Origin::Administrator,
                ended: None,
            };
            self.writes(Event::AssignmentMade { assignment });
        }
        self.writes(Event::KeyRotated { public_key: key.to_owned() });
        self.records
    }
}

/// A store of these records at `path`, sound in itself.
pub(crate) fn place(path: &Path, realm: &str, root: &str, records: &[Exported]) {
    let _ = fs::remove_file(path);
    let pieces = |take: &mut dyn FnMut(Piece<'_>) -> Result<(), StoreError>| {
        records.iter().try_for_each(|record| take(Piece::Record(record)))
    };
    let (fresh, _) = stopped::make(path, root.parse().unwrap(), realm, &Default::default(), pieces).unwrap();
    fresh.place().unwrap();
}

/// The forged journal of `house` that begins with a root key of somebody's own.
pub(crate) fn forged(house: &House) -> (Vec<Exported>, String) {
    let (key, _) = SigningKey::generate().unwrap();
    let public_key = key.public_key().to_string();
    let mut forger = Forger { key, realm: house.realm.clone(), records: Vec::new() };
    forger.writes(Event::JournalOpened { realm: house.realm.clone(), public_key: public_key.clone() });
    (forger.takes_rights_and_rotates_to(&house.key()), public_key)
}
