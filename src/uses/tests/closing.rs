//! What is closed for further uses holds all there will ever be of them.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use super::*;
use crate::domain::time::Span;

/// Looks at `future` once.
fn once<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn now() -> Timestamp {
    Timestamp::from_seconds(86_400)
}

/// A use by a verdict of today.
fn late(activation: ActivationId, number: i64) -> Use<'static> {
    used(activation, 86_400 + number)
}

fn count_of(closed: &Closed, reader: &UseReader) -> Vec<(ActivationId, u64)> {
    let stretches = closed.stretches(reader).expect("stretches");
    for (id, stretch) in &stretches {
        assert_eq!(reader.recount(*id).expect("intact").as_ref(), Some(stretch));
    }
    stretches.into_iter().map(|(id, stretch)| (id, stretch.count)).collect()
}

#[tokio::test]
async fn closing_waits_for_what_was_taken_and_nothing_is_taken_after_it() {
    let disk = Disk::new();
    let (recorder, reader, running) = start_on(&disk, AT_ONCE, &Metrics::default());
    recorder.record(&late(id(1), 0)).await.expect("recorded");
    written(&recorder).await;
    let held = disk.hold();
    assert_eq!(recorder.try_record(&late(id(1), 1)), Ok(Taken::Yes));
    let closing = recorder.closing();
    let mut close = pin!(closing.close(vec![id(1), id(3)], now()));
    assert!(once(close.as_mut()).is_pending(), "one is not written yet");
    assert_eq!(recorder.try_record(&late(id(1), 2)), Err(UsesUnavailable));
    assert_eq!(recorder.try_record(&late(id(2), 2)), Ok(Taken::Yes), "another goes on");
    drop(held);
    let closed = close.await.expect("closed");
    assert_eq!(count_of(&closed, &reader), [(id(1), 2)], "what was never used has nothing to be sealed");
    assert_eq!(recorder.record(&late(id(1), 3)).await, Err(UsesUnavailable));
    drop(recorder);
    running.join();
    assert_eq!(count_of(&closed, &reader), [(id(1), 2)]);
}

#[tokio::test]
async fn nothing_is_closed_while_uses_cannot_be_written() {
    let disk = Disk::new();
    let (recorder, reader, _running) = start_on(&disk, AT_ONCE, &Metrics::default());
    recorder.record(&late(id(1), 0)).await.expect("recorded");
    written(&recorder).await;
    let closing = recorder.closing();
    let mut close = pin!(closing.close(vec![id(1)], now()));
    {
        let _held = disk.hold();
        assert_eq!(recorder.try_record(&late(id(1), 1)), Ok(Taken::Yes));
        assert!(once(close.as_mut()).is_pending());
        disk.suffer(Trouble::Full);
    }
    assert_eq!(close.await.err(), Some(UsesUnavailable), "also for who waits already");
    recorder.health().becomes(Keeping::Out).await;
    assert_eq!(recorder.closing().close(vec![id(1)], now()).await.err(), Some(UsesUnavailable));
    disk.suffer(Trouble::None);
    recorder.health().becomes(Keeping::Kept).await;
    let closed = recorder.closing().close(vec![id(1)], now()).await.expect("closed");
    assert_eq!(count_of(&closed, &reader), [(id(1), 2)]);
}

#[test]
fn what_many_take_at_once_is_in_it_or_was_refused() {
    const TAKERS: usize = 4;
    for round in 0..50 {
        let (recorder, reader, running) = start_on(&Disk::new(), AT_ONCE, &Metrics::default());
        let taken = AtomicU64::new(0);
        let closed = std::thread::scope(|scope| {
            for _ in 0..TAKERS {
                let (recorder, taken) = (recorder.clone(), &taken);
                scope.spawn(move || {
                    while let Ok(became) = recorder.try_record(&late(id(1), 0)) {
                        match became {
                            Taken::Yes => drop(taken.fetch_add(1, Ordering::Relaxed)),
                            Taken::Full => std::thread::yield_now(),
                        }
                    }
                });
            }
            while taken.load(Ordering::Relaxed) < round * 10 {
                std::thread::yield_now();
            }
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            runtime.block_on(recorder.closing().close(vec![id(1)], now())).expect("closed")
        });
        let sealed: Vec<u64> = count_of(&closed, &reader).into_iter().map(|(_, count)| count).collect();
        drop(recorder);
        running.join();
        let all = taken.load(Ordering::Relaxed);
        assert_eq!(sealed.iter().sum::<u64>(), all, "round {round}");
        assert_eq!(reader.of(id(1), 0, usize::MAX).expect("uses").len() as u64, all, "round {round}");
    }
}

#[tokio::test]
async fn whoever_waited_for_room_is_refused_when_it_was_closed_meanwhile() {
    let (recorder, mut queue) = UseRecorder::unwritten(1);
    let (one, other) = (late(id(1), 1), late(id(2), 2));
    assert_eq!(recorder.try_record(&one), Ok(Taken::Yes));
    let (mut waits, mut waits_too) = (pin!(recorder.record(&one)), pin!(recorder.record(&other)));
    assert!(once(waits.as_mut()).is_pending() && once(waits_too.as_mut()).is_pending());
    assert_eq!(recorder.closing().close(vec![id(1)], now()).await.err(), Some(UsesUnavailable), "nobody writes");
    queue.recv().await.expect("the first");
    assert_eq!(waits.await, Err(UsesUnavailable));
    assert_eq!(waits_too.await, Ok(()), "its room is given back");
    assert_eq!(queue.recv().await.expect("the other").read(), other);
}

#[tokio::test]
async fn what_is_closed_is_forgotten_when_no_verdict_can_be_so_old() {
    let (recorder, _reader, _running) = start_on(&Disk::new(), AT_ONCE, &Metrics::default());
    let closing = recorder.closing();
    closing.close(vec![id(1)], now()).await.expect("closed");
    let minutes = |number: u64| now().plus(Span::minutes(number));
    let by = |verdict: Timestamp| recorder.try_record(&Use { at: verdict, ..used(id(1), 0) });
    closing.close(vec![id(2)], minutes(10)).await.expect("closed");
    assert_eq!(by(minutes(9)), Err(UsesUnavailable), "it is remembered");
    closing.close(vec![id(2)], minutes(11)).await.expect("closed");
    assert_eq!(by(now()), Err(UsesUnavailable), "too old a verdict");
    closing.close(vec![id(2)], now()).await.expect("closed");
    assert_eq!(by(now()), Err(UsesUnavailable), "and it stays so");
    assert_eq!(by(minutes(11)), Ok(Taken::Yes), "nobody gives such a verdict: it is remembered no more");
    assert_eq!(recorder.try_record(&Use { at: minutes(5), ..used(id(3), 0) }), Ok(Taken::Yes));
}

#[tokio::test]
async fn uses_are_taken_also_when_a_later_time_was_told_before() {
    let disk = Disk::new();
    let (recorder, _reader, _running) = start_on(&disk, AT_ONCE, &Metrics::default());
    let closing = recorder.closing();
    closing.close(vec![id(1)], now().plus(Span::hours(2))).await.expect("closed");
    assert_eq!(recorder.try_record(&late(id(2), 1)), Err(UsesUnavailable));
    closing.follow(now());
    assert_eq!(recorder.try_record(&late(id(2), 1)), Ok(Taken::Yes));
    assert_eq!(recorder.try_record(&late(id(1), 1)), Err(UsesUnavailable), "what is closed stays closed");
}
