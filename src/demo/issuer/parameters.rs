//! The parameters of a query or a form, as OAuth reads them (RFC 6749 section 3.1).

/// Names and values, in their order.
#[derive(Debug, Clone, Default)]
pub(super) struct Parameters(pub(super) Vec<(String, String)>);

impl Parameters {
    /// The value of a parameter that may come once; an empty one counts as left out.
    pub(super) fn one(&self, name: &str) -> Result<Option<&str>, &'static str> {
        let mut values = self.0.iter().filter(|(other, _)| other == name).map(|(_, value)| value.as_str());
        match (values.next(), values.next()) {
            (_, Some(_)) => Err("a parameter comes more than once"),
            (value, None) => Ok(value.filter(|value| !value.is_empty())),
        }
    }

    /// The value of a parameter that must come once.
    pub(super) fn needed(&self, name: &'static str) -> Result<&str, String> {
        self.one(name)?.ok_or_else(|| format!("`{name}` is missing"))
    }
}
