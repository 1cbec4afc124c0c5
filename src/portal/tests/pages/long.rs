//! The pages of approver, administrator and auditor where there are very many roles and a long past; how long
//! they take is for `benches/pages.rs` to say.

use super::super::world::{ADA, BEN, GRACE, OTTO, VAULT, World, policies, policy};
use super::many::{ROLES, name, past, patient, write};
use crate::domain::policy::ApprovalRule;

#[tokio::test]
async fn lists_and_searches_find_it_among_all_that_was() {
    let past = past();
    let roles = (0..ROLES).map(|number| policy(&name(number), ApprovalRule::default()));
    let world = World::over(patient(), policies(roles), |opened| write(&mut opened.appender, past)).await;
    for who in [&ADA, &BEN] {
        world.requested(who, VAULT).await;
    }
    let tells = |who, path: &'static str, told: &'static str| {
        let world = &world;
        async move {
            let answer = world.page(who, path).await;
            assert_eq!(answer.status, 200, "{path}");
            assert!(answer.text().contains(told), "{path}: {}", answer.text());
        }
    };
    tells(&GRACE, "/approvals", "2 wait for you").await;
    tells(&OTTO, "/history", "rel=\"next\"").await;
    tells(&OTTO, "/history?principal=demo:ada&app=shop&outcome=cancelled", "rel=\"next\"").await;
    tells(&OTTO, "/history?outcome=denied", "No activation matches.").await;
    tells(&OTTO, "/history?principal=demo:ada&outcome=denied", "No activation matches.").await;
    tells(&OTTO, "/history?app=desk", "No activation matches.").await;
    tells(&OTTO, "/history?from=2026-11-23T00:00", "demo:ben").await;
    tells(&OTTO, "/history?outcome=pending", "demo:ben").await;
    tells(&OTTO, "/history/records?event=activation_ended", "rel=\"next\"").await;
    tells(&OTTO, "/roles", "rel=\"next\"").await;
    tells(&OTTO, "/roles?search=ROLE-9999", "role-9999").await;
    tells(&GRACE, "/roles?search=nothing-of-this-name", "No role matches.").await;
    tells(&ADA, "/roles?search=role-1", "rel=\"next\"").await;
    tells(&OTTO, "/assignments", "rel=\"next\"").await;
    tells(&OTTO, "/assignments?role=app-9/role-999", "demo:engineers").await;
}
