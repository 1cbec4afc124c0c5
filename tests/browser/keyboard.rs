//! The story by keyboard alone: everything can be reached, and one always sees where one is.

use fantoccini::actions::{InputSource as _, KeyAction, KeyActions};
use fantoccini::key::Key;

use crate::support::{Driver, House, Setting, Window};

#[tokio::test]
async fn a_keyboard_is_enough() {
    let Some(driver) = Driver::start() else { return };
    let house = House::new("").await;
    let ada = driver.window(Setting::Ordinary).await;
    ada.open(&format!("{}/vault", house.gate)).await;
    ada.tabs_to("Sign in as Ada Okafor").await;
    ada.presses(Key::Enter).await;
    ada.sees("This needs a role you can activate").await;
    ada.tabs_to("Activate shop/vault-reader").await;
    ada.presses(Key::Enter).await;
    ada.sees("For how long").await;
    ada.tabs_to("Skip to content").await;
    ada.tabs_to("justification").await;
    ada.types("stock count for the cellar").await;
    ada.tabs_to("Request activation").await;
    ada.presses(Key::Enter).await;
    ada.sees("Nothing passes before it is approved.").await;

    let grace = driver.window(Setting::Ordinary).await;
    grace.open(&format!("{}/approvals", house.portal)).await;
    grace.tabs_to("Sign in as Grace Lindqvist").await;
    grace.presses(Key::Enter).await;
    grace.sees("stock count for the cellar").await;
    grace.tabs_to("justification").await;
    grace.types("the count is due today").await;
    grace.tabs_to("Approve").await;
    grace.presses(Key::Enter).await;
    grace.sees("The role is held.").await;
    ada.arrives("the vault", |address| address == format!("{}/vault", house.gate)).await;
    for window in [ada, grace] {
        window.closes().await;
    }
    house.stop().await;
}

impl Window {
    async fn presses(&self, key: Key) {
        self.types(&char::from(key).to_string()).await;
    }

    /// Strikes keys wherever the focus is.
    async fn types(&self, text: &str) {
        let strokes = text.chars().flat_map(|value| [KeyAction::Down { value }, KeyAction::Up { value }]);
        let keys = strokes.fold(KeyActions::new("keyboard".to_owned()), |keys, stroke| keys.then(stroke));
        self.client.perform_actions(keys).await.expect("struck");
    }

    /// Presses Tab until what is called `name`, or says so, has the focus; on the way every stop can be seen.
    async fn tabs_to(&self, name: &str) {
        let mut passed = Vec::new();
        for _ in 0..STOPS_MAX {
            self.presses(Key::Tab).await;
            let stop = self.script(STOP).await;
            let (called, marked) = (stop[0].as_str().unwrap_or_default(), stop[1].as_bool().unwrap_or_default());
            assert!(marked, "nobody sees that `{called}` has the focus: {}", self.told().await);
            if called.contains(name) {
                return;
            }
            passed.push(called.to_owned());
        }
        panic!("`{name}` cannot be reached; there were {passed:?}: {}", self.told().await);
    }
}

/// What has the focus, by its words or its name, and whether an outline or a border shows it.
const STOP: &str = "
    const at = document.activeElement;
    const style = getComputedStyle(at);
    const shown = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0;
    const label = at.matches('input[type=radio], input[type=checkbox]') && at.nextElementSibling;
    const beside = label && getComputedStyle(label).outlineStyle !== 'none';
    return [at === document.body ? '' : (at.name === 'justification' ? at.name : at.innerText || at.name || '').trim(), Boolean(at === document.body || shown || beside)];";
const STOPS_MAX: usize = 60;
