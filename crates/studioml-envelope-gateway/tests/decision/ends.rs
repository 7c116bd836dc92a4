//! What a lane does at the edges: when it is given up, when its pause is over, and when an orphan comes to its end late.

use std::sync::Arc;
use std::time::Duration;

use studioml_envelope_gateway::decision::{
    Action, DeliveryId, Direction, Event, Lane, Memory, Offer, PauseReason, Published, Reason, ReasonCode, Settings,
    Verdict,
};

const FIRST: DeliveryId = DeliveryId(1);
const SECOND: DeliveryId = DeliveryId(2);
const DIGEST: [u8; 32] = [1; 32];
const NOW: Duration = Duration::ZERO;

fn lane(direction: Direction) -> Lane {
    Lane::new(Settings::new(direction, 64, 7))
}

fn publish(remembered: bool) -> Verdict {
    Verdict::Publish { digest: DIGEST, remembered }
}

#[test]
fn a_lane_that_is_given_up_leaves_its_messages_to_the_next_delivery() {
    let (mut lane, mut memory) = (lane(Direction::Requests), Memory::new(10));
    let queue: Arc<str> = "rmq_one".into();
    lane.handle(NOW, Event::Delivered(FIRST, false), &mut memory);
    assert_eq!(memory.offer(DIGEST, &queue, FIRST), Offer::New);
    lane.handle(NOW, Event::Processed(FIRST, publish(true)), &mut memory);
    assert_eq!(memory.offer(DIGEST, &queue, SECOND), Offer::InFlight);
    lane.abandon(&mut memory);
    assert!(lane.is_idle());
    assert_eq!(memory.offer(DIGEST, &queue, SECOND), Offer::New);
}

#[test]
fn a_pause_that_is_over_waits_for_what_is_under_way_and_not_for_a_moment_that_has_gone() {
    let (mut lane, mut memory) = (lane(Direction::Requests), Memory::new(10));
    for id in [FIRST, SECOND] {
        lane.handle(NOW, Event::Delivered(id, false), &mut memory);
    }
    lane.handle(NOW, Event::Processed(FIRST, publish(false)), &mut memory);
    let misconfigured = Verdict::Misconfigured(PauseReason::NoQueueKey);
    let actions = lane.handle(NOW, Event::Processed(SECOND, misconfigured), &mut memory);
    assert!(actions.contains(&Action::Pause(PauseReason::NoQueueKey)), "{actions:?}");
    lane.handle(NOW, Event::Released(SECOND), &mut memory);
    let over = lane.next_tick().unwrap();
    assert_eq!(lane.handle(over, Event::Tick, &mut memory), []);
    assert_eq!(lane.next_tick(), None, "the publish under way ends the pause");
    lane.handle(over, Event::Published(FIRST, Published::Confirmed), &mut memory);
    let actions = lane.handle(over, Event::Acknowledged(FIRST, true), &mut memory);
    assert_eq!(actions, [Action::Done(FIRST), Action::Resume]);
}

#[test]
fn a_report_whose_orphan_was_confirmed_while_it_waited_for_its_turn_is_not_published_again() {
    let (mut lane, mut memory) = (lane(Direction::Reports), Memory::new(10));
    lane.handle(NOW, Event::Delivered(FIRST, false), &mut memory);
    let actions = lane.handle(NOW, Event::Processed(FIRST, publish(false)), &mut memory);
    assert_eq!(actions, [Action::Publish(FIRST)]);
    lane.handle(NOW, Event::SourceLost, &mut memory);
    lane.handle(NOW, Event::Delivered(SECOND, true), &mut memory);
    assert_eq!(lane.handle(NOW, Event::Processed(SECOND, publish(false)), &mut memory), []);
    let actions = lane.handle(NOW, Event::Published(FIRST, Published::Confirmed), &mut memory);
    assert_eq!(actions, [Action::Done(FIRST), Action::Acknowledge(SECOND)]);
}

#[test]
fn what_is_too_large_for_the_destination_is_put_aside_and_not_tried_again() {
    let (mut lane, mut memory) = (lane(Direction::Requests), Memory::new(10));
    let queue: Arc<str> = "rmq_one".into();
    lane.handle(NOW, Event::Delivered(FIRST, false), &mut memory);
    memory.offer(DIGEST, &queue, FIRST);
    lane.handle(NOW, Event::Processed(FIRST, publish(true)), &mut memory);
    let actions = lane.handle(NOW, Event::Published(FIRST, Published::TooLarge), &mut memory);
    let too_large =
        |action: &Action| matches!(action, Action::Reject(FIRST, Reason { code: ReasonCode::TooLarge, .. }));
    assert!(matches!(actions.as_slice(), [action] if too_large(action)), "{actions:?}");
    assert_eq!(memory.offer(DIGEST, &queue, SECOND), Offer::Refused(ReasonCode::TooLarge));
}

#[test]
fn a_message_that_its_source_does_not_know_any_more_is_not_tried_again() {
    let (mut lane, mut memory) = (lane(Direction::Requests), Memory::new(10));
    lane.handle(NOW, Event::Delivered(FIRST, false), &mut memory);
    assert_eq!(lane.handle(NOW, Event::Processed(FIRST, Verdict::Gone), &mut memory), [Action::Done(FIRST)]);
    assert!(lane.is_idle());
}

#[test]
fn a_lane_neither_goes_on_nor_is_idle_before_its_source_has_back_what_was_handed_back() {
    let (mut lane, mut memory) = (lane(Direction::Reports), Memory::new(10));
    lane.handle(NOW, Event::Delivered(FIRST, false), &mut memory);
    let misconfigured = Verdict::Misconfigured(PauseReason::NoQueueKey);
    let actions = lane.handle(NOW, Event::Processed(FIRST, misconfigured), &mut memory);
    assert_eq!(actions, [Action::Release(FIRST), Action::Pause(PauseReason::NoQueueKey)]);
    // on its way when the pause began
    assert_eq!(lane.handle(NOW, Event::Delivered(SECOND, false), &mut memory), [Action::Release(SECOND)]);
    let over = lane.next_tick().unwrap();
    assert_eq!(lane.handle(over, Event::Tick, &mut memory), []);
    assert_eq!(lane.handle(over, Event::Released(FIRST), &mut memory), [Action::Done(FIRST)]);
    assert!(!lane.is_idle());
    let actions = lane.handle(over, Event::Released(SECOND), &mut memory);
    assert_eq!(actions, [Action::Done(SECOND), Action::Resume]);
}
