//! Looking at a page: its picture, whether it fits, and whether whoever cannot see it can use it.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::window::Window;

/// Looks at pages and keeps their pictures, where axe-core is installed.
pub struct Looks {
    axe: String,
    folder: PathBuf,
}

/// The width of the smallest phone that counts, in CSS pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phone {
    /// 360 wide.
    Narrow,
    /// A desktop of 1280 instead.
    None,
}

impl Looks {
    pub fn new() -> Option<Self> {
        let axe = std::fs::read_to_string(super::installed("TESTS_AXE")?).expect("axe-core can be read");
        let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/screenshots"));
        std::fs::create_dir_all(&folder).expect("a folder for pictures");
        Some(Self { axe, folder })
    }

    /// The page in light and dark, on desktop and phone: a picture of each, nothing beside the screen, nothing that axe-core
    /// finds fault with.
    pub async fn over(&self, window: &Window, name: &str) -> Vec<String> {
        let mut faults = Vec::new();
        for (phone, place) in [(Phone::None, "desktop"), (Phone::Narrow, "phone")] {
            window.is_on(phone).await;
            for scheme in ["light", "dark"] {
                window.prefers(scheme).await;
                let picture = window.picture().await;
                std::fs::write(self.folder.join(format!("{name}-{place}-{scheme}.png")), picture).expect("written");
                let wide = window.script("return [document.documentElement.scrollWidth, innerWidth]").await;
                if wide[0].as_u64() > wide[1].as_u64() {
                    faults.push(format!("{name}, {place}: {} wide on a screen of {}", wide[0], wide[1]));
                }
                for fault in self.violations(window).await {
                    faults.push(format!("{name}, {place}, {scheme}: {fault}"));
                }
            }
        }
        window.is_on(Phone::None).await;
        window.prefers("light").await;
        faults
    }

    async fn violations(&self, window: &Window) -> Vec<String> {
        window.script(&self.axe).await;
        let run = "const done = arguments[arguments.length - 1];
            axe.run(document, { resultTypes: ['violations'] }).then((found) => done(found.violations), (error) => done(String(error)));";
        let found = window.client.execute_async(run, vec![]).await.expect("axe-core runs");
        let found = found.as_array().unwrap_or_else(|| panic!("axe-core: {found}")).clone();
        let told = |violation: &Value| {
            let nodes = violation["nodes"].as_array().into_iter().flatten();
            let places: Vec<_> = nodes.map(|node| format!("{} {}", node["html"], node["any"][0]["message"])).collect();
            format!("{}: {} at {}", violation["id"], violation["help"], places.join(" | "))
        };
        found.iter().map(told).collect()
    }
}

impl Window {
    /// The size of the screen.
    pub async fn is_on(&self, phone: Phone) {
        let (width, height) = match phone {
            Phone::Narrow => (360, 740),
            Phone::None => (1280, 900),
        };
        let screen =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone == Phone::Narrow });
        self.devtools("Emulation.setDeviceMetricsOverride", screen).await;
    }

    /// Light or dark, and at once: a browser that nobody sees may take any time to draw what moves.
    pub async fn prefers(&self, scheme: &str) {
        let wish = json!({ "features": [
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ] });
        self.devtools("Emulation.setEmulatedMedia", wish).await;
        let still = super::eventually(async || {
            (self.script("return document.getAnimations().length").await == json!(0)).then_some(())
        });
        assert!(still.await.is_some(), "something moves on and on: {}", self.told().await);
    }

    /// The whole page as PNG, also what is below the screen.
    async fn picture(&self) -> Vec<u8> {
        let taken = self.devtools("Page.captureScreenshot", json!({ "captureBeyondViewport": true })).await;
        let encoded = taken["data"].as_str().expect("a picture");
        data_encoding::BASE64.decode(encoded.as_bytes()).expect("base64")
    }
}
