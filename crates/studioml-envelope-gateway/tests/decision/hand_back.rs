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
