//! Cuts that were interrupted: uses are forgotten when an archive holds them and the cut came to be, and never before.

use hallpass::backup::{self, UseReader};
use hallpass::domain::event::{Actor, Detail};
use hallpass::domain::time::Timestamp;
use hallpass::store::{self, Opened, Plan, Planned, Wanted};
use hallpass::uses::ArchivedUses;

use crate::years::{Years, case, month, now, settings};

/// Whether all uses of the first case are there.
fn are_there(years: &Years) -> bool {
    let count = UseReader::of_file(&years.path("journal.uses")).unwrap().of(case(1), 0, 10).unwrap().len();
    assert!(count == 0 || count == USES, "{count} of them");
    count == USES
}

/// Whether the cut is made after its archives are written.
#[derive(PartialEq)]
enum Interrupted {
    BeforeTheCut,
    AfterTheCut,
}

/// What `hallpass audit cut` does, up to there.
fn cut(years: &Years, before: Timestamp, interrupted: Interrupted) {
    let Opened { reader, mut appender } = store::open_existing(&settings(years.folder.path()), now()).unwrap();
    let uses = UseReader::of_file(&years.path("journal.uses")).unwrap();
    let snapshot = reader.snapshot().unwrap();
    let planned = snapshot.plan_cut(&Wanted::before(before, now()), &mut |_, _| {}).unwrap();
    let plan = something(planned);
    let archived = backup::archive(&snapshot, &plan, Some(&uses), &years.path("archive"), &mut |_, _| {}).unwrap();
    assert!(archived.uses.is_some());
    if interrupted == Interrupted::AfterTheCut {
        let by = (Actor::Operator, &Detail::default());
        appender.cut(&plan, archived.records, now(), by).unwrap();
    }
}

fn something(planned: Planned) -> Box<Plan> {
    match planned {
        Planned::Cut(plan) => Some(plan),
        Planned::Nothing(_) => None,
    }
    .unwrap()
}

#[test]
fn uses_of_a_cut_that_was_made_are_forgotten_by_the_next_command() {
    let years = Years::write();
    cut(&years, month(3), Interrupted::AfterTheCut);
    assert!(are_there(&years), "the power went before they were forgotten");
    let next = years.cut("2020-01-01", "next");
    assert!(next.code == 0 && next.out.contains("nothing to cut"), "{next:?}");
    assert!(!are_there(&years));
    let joined = years.verify(&["archive", "journal.redb"]);
    assert_eq!(joined.code, 0, "{joined:?}");
}

#[test]
fn uses_of_a_cut_that_was_not_made_stay_until_one_is() {
    let years = Years::write();
    cut(&years, month(3), Interrupted::BeforeTheCut);
    let next = years.cut("2020-01-01", "next");
    assert!(next.code == 0 && next.out.contains("nothing to cut"), "{next:?}");
    assert!(are_there(&years), "no cut names that archive");
    assert_eq!(years.run(&["store", "check", "journal.redb"]).code, 0);
    // another archive of the same, with more in it
    let made = years.cut("2020-08-15", "other");
    assert_eq!(made.code, 0, "{made:?}");
    assert!(!are_there(&years));
    let joined = years.verify(&["other", "journal.redb"]);
    assert_eq!(joined.code, 0, "{joined:?}");
}

#[test]
fn uses_of_a_case_that_is_known_are_never_forgotten() {
    let years = Years::write();
    // the cut names this archive, but what it took was another case
    let Opened { reader, mut appender } = store::open_existing(&settings(years.folder.path()), now()).unwrap();
    let snapshot = reader.snapshot().unwrap();
    let planned = snapshot.plan_cut(&Wanted::before(month(1), now()), &mut |_, _| {}).unwrap();
    let plan = something(planned);
    let uses = UseReader::of_file(&years.path("journal.uses")).unwrap();
    let archived = backup::archive(&snapshot, &plan, Some(&uses), &years.path("archive"), &mut |_, _| {}).unwrap();
    assert!(plan.cases.is_empty() && archived.uses.is_none());
    drop(snapshot);
    appender.cut(&plan, archived.records, now(), (Actor::Operator, &Detail::default())).unwrap();
    let known = ArchivedUses { activation: case(1), last: 6, archive: archived.records };
    uses.note_archived(&[known]).unwrap();
    assert_eq!(backup::forget_archived(&uses, &reader).unwrap(), 0);
    assert_eq!(uses.of(case(1), 0, 10).unwrap().len(), USES);
}

/// Of the first case.
const USES: usize = 6;
