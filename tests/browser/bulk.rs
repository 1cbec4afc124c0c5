//! An approver with a hundred requests in front of her decides on all of them at once.

use hallpass::demo::issuer::{ADA, GRACE, Person};

use crate::support::{Driver, House, Setting};

#[tokio::test]
async fn a_hundred_requests_are_approved_at_once_with_a_result_for_each() {
    let Some(driver) = Driver::start() else { return };
    let house = House::new("").await;
    for number in 0..100 {
        // people of the demo are known by heart; these are made up
        let subject: &'static str = Box::leak(format!("engineer-{number:03}").into_boxed_str());
        house.asks_for_the_vault(&Person { subject, name: subject, ..ADA }, "stock count for the cellar").await;
    }
    let grace = driver.window(Setting::Ordinary).await;
    grace.open(&format!("{}/approvals", house.portal)).await;
    grace.clicks("Sign in as Grace Lindqvist").await;
    grace.sees("100 wait for you").await;
    grace.clicks("Choose all").await;
    grace.sees("100 selected").await;
    let reason = grace.finds("form.bulk textarea[name=justification]").await;
    reason.send_keys("all of them count tonight").await.expect("written");
    grace.clicks("Approve chosen").await;
    grace.sees("100 decided").await;
    let results = grace.all("table tbody tr").await;
    assert_eq!(results.len(), 100);
    for (number, result) in results.iter().enumerate() {
        let text = result.text().await.expect("a line");
        assert!(text.contains("engineer-") && text.contains("Active"), "line {number}: {text}");
    }
    assert!(grace.text().await.contains("Nothing waits for you."));
    let left = house.read(&GRACE, "/activations?state=pending&waiting_for=me").await;
    assert_eq!(left["items"].as_array().map(Vec::len), Some(0), "{left}");
    grace.closes().await;
    house.stop().await;
}
