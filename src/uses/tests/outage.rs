//! The disk fails while uses come in, and works again.

use super::*;

/// The disk fails once, in some way.
async fn an_outage(trouble: Trouble) {
    let (disk, metrics) = (Disk::new(), Metrics::default());
    let (recorder, reader, running) = start_on(&disk, AT_ONCE, &metrics);
    recorder.record(&used(id(1), 0)).await.expect("recorded");
    written(&recorder).await;
    {
        // taken before anybody knows, and kept
        let _held = disk.hold();
        assert_eq!(recorder.try_record(&used(id(1), 1)), Ok(Taken::Yes));
        assert_eq!(recorder.try_record(&used(id(2), 2)), Ok(Taken::Yes));
        disk.suffer(trouble);
    }
    recorder.health().becomes(Keeping::Out).await;
    assert!(recorder.try_record(&used(id(1), 3)).is_err(), "{trouble:?}");
    assert!(recorder.record(&used(id(1), 3)).await.is_err(), "{trouble:?}");
    assert!(recorder.health().explanation().is_some());
    assert!(metrics.encode().contains("hallpass_uses_out 1"), "{}", metrics.encode());

    disk.suffer(Trouble::None);
    recorder.health().becomes(Keeping::Kept).await;
    assert!(metrics.encode().contains("hallpass_uses_out 0") && recorder.health().explanation().is_none());
    recorder.record(&used(id(1), 4)).await.expect("recorded");
    drop(recorder);
    running.join();
    let read = |id| -> Vec<_> { reader.of(id, 0, 100).expect("uses") };
    let first = [(1, used(id(1), 0)), (2, used(id(1), 1)), (3, used(id(1), 4))];
    assert_eq!((read(id(1)), read(id(2))), (first.to_vec(), vec![(1, used(id(2), 2))]), "each once, after {trouble:?}");
    assert_eq!(reader.recount(id(1)).expect("intact").map(|stretch| stretch.count), Some(3));
    assert!(metrics.encode().contains("hallpass_uses_lost_total 0"));
}

#[tokio::test]
async fn recording_goes_on_by_itself_after_an_outage() {
    for trouble in [Trouble::Writing, Trouble::Syncing, Trouble::Full, Trouble::ReadOnly] {
        an_outage(trouble).await;
    }
}

#[tokio::test]
async fn what_could_not_be_written_before_the_end_is_counted() {
    let (disk, metrics) = (Disk::new(), Metrics::default());
    let (recorder, _, running) = start_on(&disk, AT_ONCE, &metrics);
    {
        let _held = disk.hold();
        for number in 0..3 {
            assert_eq!(recorder.try_record(&used(id(1), number)), Ok(Taken::Yes));
        }
        disk.suffer(Trouble::Writing);
    }
    recorder.health().becomes(Keeping::Out).await;
    drop(recorder);
    running.join();
    assert!(metrics.encode().contains("hallpass_uses_lost_total 3"), "{}", metrics.encode());
}
