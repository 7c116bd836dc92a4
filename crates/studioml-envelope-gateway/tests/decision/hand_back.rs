//! What nobody takes is not held until the source's patience is at its end.

use std::time::Duration;

use studioml_envelope_gateway::decision::{
    Action, DeliveryId, Direction, Event, Lane, Memory, PauseReason, Published, Reason, ReasonCode, Settings, Verdict,
};

const UNWANTED: DeliveryId = DeliveryId(1);

/// Has every try of the first message fail, and has another message pass every second, until the first is given back;
/// returns after how long it is.
fn handed_back_after(begin: &Verdict, fail: impl Fn() -> Event) -> Duration {
    let mut lane = Lane::new(Settings::new(Direction::Requests, 64, 7));
    let mut memory = Memory::new(1000);
    let mut next = 2;
    lane.handle(Duration::ZERO, Event::Delivered(UNWANTED, false), &mut memory);
    let mut actions = lane.handle(Duration::ZERO, Event::Processed(UNWANTED, begin.clone()), &mut memory);
    let mut milliseconds = 0;
    loop {
        let now = Duration::from_millis(milliseconds);
        if actions.iter().any(|action| matches!(action, Action::Publish(UNWANTED) | Action::Reject(UNWANTED, _))) {
            lane.handle(now, fail(), &mut memory);
        }
        if milliseconds % 1000 == 0 {
            let id = DeliveryId(next);
            next += 1;
            let verdict = Verdict::Publish { digest: [7; 32], remembered: false };
            for event in [
                Event::Delivered(id, false),
                Event::Processed(id, verdict),
                Event::Published(id, Published::Confirmed),
                Event::Acknowledged(id, true),
            ] {
                lane.handle(now, event, &mut memory);
            }
        }
        actions = lane.handle(now, Event::Tick, &mut memory);
        if actions.contains(&Action::Release(UNWANTED)) {
            assert!(actions.contains(&Action::Pause(PauseReason::DestinationUnavailable)), "{actions:?}");
            return now;
        }
        milliseconds += 100;
        assert!(milliseconds < 600_000, "it is held for ever");
    }
}

#[test]
fn what_nobody_takes_for_a_minute_is_handed_back() {
    let publish = Verdict::Publish { digest: [1; 32], remembered: false };
    let refuse = Verdict::Refuse(Reason { code: ReasonCode::Malformed, detail: String::new() });
    let outcomes = [Published::Unavailable, Published::Unknown, Published::Nacked, Published::Returned];
    for outcome in outcomes {
        let after = [
            handed_back_after(&publish, || Event::Published(UNWANTED, outcome)),
            handed_back_after(&refuse, || Event::Rejected(UNWANTED, outcome)),
        ];
        for after in after {
            assert!((60..62).contains(&after.as_secs()), "{outcome:?}: {after:?}");
        }
    }
}

#[test]
fn a_lane_says_when_to_ask_it_again_and_why_it_rests() {
    let mut lane = Lane::new(Settings::new(Direction::Requests, 64, 7));
    let mut memory = Memory::new(1000);
    assert_eq!((lane.next_tick(), lane.paused()), (None, None));

    let publish = Verdict::Publish { digest: [1; 32], remembered: false };
    for event in [
        Event::Delivered(UNWANTED, false),
        Event::Processed(UNWANTED, publish),
        Event::Published(UNWANTED, Published::Unavailable),
    ] {
        lane.handle(Duration::ZERO, event, &mut memory);
    }
    let again = lane.next_tick().unwrap();
    assert!(!again.is_zero() && again <= Duration::from_secs(1), "{again:?}");
    assert_eq!(lane.handle(again - Duration::from_millis(1), Event::Tick, &mut memory), []);
    assert_eq!(lane.handle(again, Event::Tick, &mut memory), [Action::Publish(UNWANTED)]);

    for event in [Event::Published(UNWANTED, Published::Confirmed), Event::Acknowledged(UNWANTED, true)] {
        lane.handle(again, event, &mut memory);
    }
    let misconfigured = Verdict::Misconfigured(PauseReason::NoQueueKey);
    for event in [Event::Delivered(DeliveryId(2), false), Event::Processed(DeliveryId(2), misconfigured)] {
        lane.handle(again, event, &mut memory);
    }
    assert_eq!(lane.paused(), Some(PauseReason::NoQueueKey));
    assert!(lane.next_tick().is_some_and(|next| next > again));
}
