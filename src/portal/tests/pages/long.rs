//! The pages of approver, administrator and auditor where there are very many roles and a long past.

use super::super::world::{ADA, BEN, GRACE, OTTO, VAULT, World, policies, policy};
use super::many::{PATIENCE, ROLES, name, past, write};
use crate::clock::awake;
use crate::domain::policy::ApprovalRule;
use crate::portal::Limits;

#[tokio::test]
async fn lists_and_searches_take_no_longer_for_all_that_was() {
    let past = past();
    let roles = (0..ROLES).map(|number| policy(&name(number), ApprovalRule::default()));
    let world = World::over(Limits::default(), policies(roles), |opened| write(&mut opened.appender, past)).await;
    for who in [&ADA, &BEN] {
        world.requested(who, VAULT).await;
    }
    let took = |who, path: &'static str, told: &'static str| {
        let world = &world;
        async move {
            world.page(who, path).await;
            let began = awake();
            let answer = world.page(who, path).await;
            let took = began.elapsed();
            println!("{path}: {took:?} with {ROLES} roles and {past} past activations");
            assert_eq!(answer.status, 200, "{path}");
            assert!(answer.text().contains(told), "{path}: {}", answer.text());
            assert!(took < PATIENCE, "{path}: {took:?}");
        }
    };
    took(&GRACE, "/approvals", "2 wait for you").await;
    took(&OTTO, "/history", "rel=\"next\"").await;
    took(&OTTO, "/history?principal=demo:ada&app=shop&outcome=cancelled", "rel=\"next\"").await;
    took(&OTTO, "/history?outcome=denied", "No activation matches.").await;
    took(&OTTO, "/history?principal=demo:ada&outcome=denied", "No activation matches.").await;
    took(&OTTO, "/history?app=desk", "No activation matches.").await;
    took(&OTTO, "/history?from=2026-11-23T00:00", "demo:ben").await;
    took(&OTTO, "/history?outcome=pending", "demo:ben").await;
    took(&OTTO, "/history/records?event=activation_ended", "rel=\"next\"").await;
    took(&OTTO, "/roles", "rel=\"next\"").await;
    took(&OTTO, "/roles?search=ROLE-9999", "role-9999").await;
    took(&GRACE, "/roles?search=nothing-of-this-name", "No role matches.").await;
    took(&ADA, "/roles?search=role-1", "rel=\"next\"").await;
    took(&OTTO, "/assignments", "rel=\"next\"").await;
    took(&OTTO, "/assignments?role=app-9/role-999", "demo:engineers").await;
}
