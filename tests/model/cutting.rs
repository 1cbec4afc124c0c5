//! Histories whose old records are cut every now and then: nothing that holds is lost by it, tables stay the fold, each archive
//! verifies alone, and all of them join with what remains.

use hallpass::domain::event::{Actor, Detail};
use hallpass::domain::standing::Position;
use hallpass::domain::time::{Span, Timestamp};
use hallpass::journal::Digest;
use hallpass::journal::export::read_json_lines;
use hallpass::journal::verify::Verifier;
use hallpass::store::{Appender, KEPT, Planned, Reader, RecordFilter, Wanted};

use crate::draw::Draw;

/// The archives of a history, oldest first.
#[derive(Default)]
pub struct Archives {
    written: Vec<Vec<u8>>,
    pub records: u64,
    pub cases: usize,
}

impl Archives {
    /// Lets days pass, and cuts what is then older than an instant drawn by lot.
    pub fn cut(&mut self, reader: &Reader, appender: &mut Appender, draw: &mut Draw, now: Timestamp) {
        let before = now.minus(Span::seconds(draw.chance.below(8 * 86_400)));
        let snapshot = reader.snapshot().expect("a snapshot");
        let wanted = Wanted::before(before, now);
        let planned = snapshot.plan_cut(&wanted, &mut |_, _| {}).expect("planned");
        let Planned::Cut(plan) = planned else { return };
        assert!(plan.until <= now.minus(KEPT), "what is young stays");
        let mut archive = Vec::new();
        snapshot.write_archive(&plan, &mut archive, &mut |_, _| {}).expect("written");
        drop(snapshot);
        appender.cut(&plan, Digest::of(&[&archive]), now, (Actor::Operator, &Detail::default())).expect("cut");
        reader.check_rows().expect("rows equal the fold");
        self.records += plan.records;
        self.cases += plan.cases.len();
        self.verify(reader, vec![&archive]);
        self.written.push(archive);
    }

    /// All archives and what remains, as one chain; what remains alone.
    pub fn join(&self, reader: &Reader) {
        let mut rest = Vec::new();
        let mut after = Position(0);
        loop {
            let page = reader.exported(&RecordFilter::default(), after, 1000).expect("records");
            let Some(last) = page.last() else { break };
            after = Position(last.sequence);
            page.iter().for_each(|entry| entry.write_json_line(&mut rest).expect("a line"));
        }
        let mut verifier = self.verify(reader, vec![&rest]);
        assert_eq!(Position(verifier.tip().sequence), after);
        let mut files: Vec<&Vec<u8>> = self.written.iter().collect();
        files.push(&rest);
        verifier = self.verify(reader, files.clone());
        assert!(verifier.gone().is_empty(), "together they hold every record");
        assert_eq!(Position(verifier.tip().sequence), after);
        let cut = verifier.cuts().last().map(|cut| cut.archive);
        assert_eq!(cut, self.written.last().map(|archive| Digest::of(&[archive])));
        // any beginning may be missing, but none in the middle
        for missing in 0..self.written.len() {
            self.verify(reader, files.iter().skip(missing).copied().collect());
            let mut holed = files.clone();
            holed.remove(missing);
            if missing > 0 {
                assert!(verified(reader, holed).is_err(), "archive {missing} is missing unnoticed");
            }
        }
    }

    fn verify(&self, reader: &Reader, files: Vec<&Vec<u8>>) -> Verifier {
        verified(reader, files)
            .map_err(|fault| format!("after {} archives: {fault}", self.written.len()))
            .expect("whole")
    }
}

fn verified(reader: &Reader, files: Vec<&Vec<u8>>) -> Result<Verifier, hallpass::journal::verify::Fault> {
    let mut verifier = Verifier::of_files(reader.public_key());
    for file in files {
        verifier.next_file()?;
        for record in read_json_lines(file.as_slice()) {
            let record = record.expect("a line");
            verifier.check(record.sequence, &record.sealed, record.note.as_ref())?;
        }
    }
    verifier.ended()?;
    Ok(verifier)
}
