//! Backups: what is written comes back, and whatever was changed is noticed.

use super::*;

fn header() -> Header {
    Header {
        version: VERSION,
        realm: "00".repeat(16),
        public_key: "11".repeat(32),
        taken_at: "2026-11-23T08:00:00.000Z".to_owned(),
        sequence: 0,
        hash: "00".repeat(32),
        cursors: BTreeMap::from([("notices".to_owned(), 7)]),
        checkpoint: None,
    }
}

fn rows() -> Vec<Row> {
    (0..3_u8).map(|number| Row { table: "uses".to_owned(), key: vec![number], value: vec![7; 9] }).collect()
}

fn written() -> Vec<u8> {
    let mut writer = Writer::begin(Vec::new(), header()).unwrap();
    rows().iter().for_each(|row| writer.row(row).unwrap());
    writer.finish().unwrap()
}

fn read(bytes: &[u8]) -> Result<Vec<Part>, BackupError> {
    Reader::open(bytes)?.collect()
}

#[test]
fn what_was_written_comes_back() {
    let bytes = written();
    assert!(bytes.starts_with(MARK));
    assert_eq!(Reader::open(bytes.as_slice()).unwrap().header(), &header());
    assert_eq!(read(&bytes).unwrap(), rows().into_iter().map(Part::Row).collect::<Vec<_>>());
}

#[test]
fn every_cut_and_every_flipped_bit_is_noticed() {
    let bytes = written();
    for length in 0..bytes.len() {
        let cut = bytes.get(..length).unwrap();
        assert!(read(cut).is_err(), "cut after {length} bytes");
    }
    for offset in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            *flipped.get_mut(offset).unwrap() ^= 1 << bit;
            assert!(read(&flipped).is_err(), "bit {bit} of byte {offset}");
        }
    }
    assert!(matches!(read(&[bytes.as_slice(), b"{}\n"].concat()), Err(BackupError::Longer)));
    assert!(matches!(read(b"{\"sequence\":1}\n"), Err(BackupError::Foreign)));
}
