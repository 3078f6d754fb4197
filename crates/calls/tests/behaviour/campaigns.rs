//! Campaigns: nobody is called outside their hours, and no more at once, or in a time, than may be.

use crate::{
    outbound::{NUMBER, RULES, end_of, place, refused, settings, written_down},
    world::World,
};
use calls::{Campaign, Pace, PlaceBody};
use policy::Cause;
use std::time::Duration;

fn campaign(change: impl FnOnce(&mut Campaign)) -> World {
    let mut settings = settings();
    let mut dues = Campaign::default();
    change(&mut dues);
    settings.outbound.campaigns.insert("dues".into(), dues);
    World::with(settings, RULES, 7)
}

fn dues() -> PlaceBody {
    PlaceBody { campaign: Some("dues".into()), ..PlaceBody::to(NUMBER) }
}

#[test]
fn a_campaign_calls_nobody_outside_its_hours_and_says_when_they_begin() {
    // The world's clock stands at 2026-11-18 11:06:45 UTC.
    let mut world = campaign(|dues| dues.hours = Some("office".into()));
    place(&mut world, dues()).unwrap();
    assert_eq!(world.header(world.caller, "X-Tandem-Campaign"), None, "nothing of it reaches the person");
    world.ring(world.caller);
    assert_eq!(world.header(world.dialled("bot@"), "X-Tandem-Campaign").as_deref(), Some("dues"));
    let far = PlaceBody { time_zone: Some("America/New_York".into()), ..dues() };
    let problem = place(&mut world, far).unwrap_err();
    let detail = problem.detail.unwrap();
    assert_eq!((problem.status, problem.field.as_deref()), (409, Some("campaign")), "six in the morning there");
    assert!(detail.contains("2026-11-18T13:00:00") && detail.contains("America/New_York"), "{detail}");
    let wait = problem.retry_after.unwrap();
    assert!((6_790..=6_800).contains(&wait), "{wait}");
    let nowhere = PlaceBody { time_zone: Some("Mars".into()), ..dues() };
    assert_eq!(refused(&mut world, nowhere).0, 422);
    let mut world = campaign(|dues| dues.hours = Some("never".into()));
    assert_eq!(refused(&mut world, dues()).0, 409);
    let mut world = campaign(|dues| dues.hours = Some("gone".into()));
    let (status, _, detail) = refused(&mut world, dues());
    assert_eq!(status, 409, "hours that the rules do not know are not open: {detail}");
}

#[test]
fn a_campaign_has_so_many_calls_at_once_and_no_more() {
    let mut world = campaign(|dues| dues.pace = Pace { at_once: 2, ..Pace::default() });
    place(&mut world, dues()).unwrap();
    place(&mut world, dues()).unwrap();
    let problem = place(&mut world, dues()).unwrap_err();
    assert_eq!((problem.status, problem.retry_after), (429, Some(5)));
    written_down(&mut world);
    assert_eq!(refused(&mut world, dues()).0, 429);
    place(&mut world, PlaceBody::to("tel:+49302")).unwrap();
    world.refuse(world.dialled(NUMBER), 486);
    world.secs(1);
    place(&mut world, dues()).unwrap();
    assert_eq!(refused(&mut world, dues()).0, 429);
    assert_eq!(world.cdrs[0].campaign.as_deref(), Some("dues"));
    assert_eq!(world.cdrs[0].tags, ["dues"], "rules know it as a tag");
}

#[test]
fn a_campaign_starts_so_many_calls_a_second_and_what_a_full_trunk_refuses_is_no_call() {
    let mut world = campaign(|dues| dues.pace = Pace { per_second: 1, ..Pace::default() });
    place(&mut world, dues()).unwrap();
    let problem = place(&mut world, dues()).unwrap_err();
    assert_eq!((problem.status, problem.retry_after), (429, Some(1)));
    world.secs(1);
    place(&mut world, dues()).unwrap();
    let mut settings = settings();
    settings.trunks.get_mut("carrier").unwrap().limits.calls_out = 1;
    let mut world = World::with(settings, RULES, 7);
    place(&mut world, PlaceBody::to(NUMBER)).unwrap();
    let problem = place(&mut world, PlaceBody::to(NUMBER)).unwrap_err();
    assert_eq!((problem.status, problem.retry_after), (429, Some(1)), "{problem:?}");
    assert_eq!((world.legs.len(), world.count("call.started")), (1, 1));
    world.refuse(world.caller, 486);
    let told = world.now;
    world.all_gone(told);
}

#[test]
fn a_campaign_says_line_ai_number_and_ringing_where_the_request_does_not() {
    let mut world = campaign(|dues| {
        dues.ai = Some("backup".into());
        dues.from = Some("+4930555".into());
        dues.ring_timeout = Some(Duration::from_secs(15));
    });
    place(&mut world, dues()).unwrap();
    let caller = world.caller;
    assert!(world.legs[&caller].dial.as_ref().unwrap().from.uri.contains("+4930555"));
    world.ring(caller);
    world.answer(world.dialled("backup@"));
    world.secs(14);
    assert!(!world.legs[&caller].ended);
    world.secs(1);
    assert!(world.legs[&caller].ended);
    assert_eq!(end_of(&world).1, Some(Cause::NoAnswer));
}
