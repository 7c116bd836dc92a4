//! The clear-text headers of a message (docs/spec.md §2): copies of fields of the Request, for a scheduler that looks before it
//! opens. Nobody has signed them.
//!
//! The attacker is the broker, or anybody who can write to the queue: every byte here is theirs to choose. Once the payload
//! is open, the Request inside is the only truth.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::{
    RequestError,
    json::{self, Member},
    json_value::Value,
};

/// How deep the value of a header stands: in `message`, which is in the object that is the text.
pub(crate) const HEADER_DEPTH: usize = 2;

/// Clear-text headers. **Not authenticated**: they may say anything, whatever the signature says.
///
/// Values are kept as the JSON text they came as; `null` and missing are both "absent".
#[derive(Clone, Debug, Default)]
pub struct UnauthenticatedHeaders {
    experiment: Option<Box<RawValue>>,
    time_added: Option<Box<RawValue>>,
    experiment_lifetime: Option<Box<RawValue>>,
    resources_needed: Option<Box<RawValue>>,
}

impl UnauthenticatedHeaders {
    /// Copies the headers from the fields of a Request, as clients do.
    ///
    /// `experiment_lifetime` is the Request's `config.experimentLifetime`, or else its `experiment.max_duration`. Members that are
    /// missing stay absent, and so do values that no verifier lets through in a message: a name twice in one object, too deep,
    /// a number or a string that parsers disagree about. Headers are a courtesy; the Request stays as it is.
    ///
    /// # Errors
    /// [`RequestError`] if `request` is not a JSON object.
    pub fn from_request(request: &[u8]) -> Result<Self, RequestError> {
        let text = checked_object(request)?;
        let [experiment, config] = json::members(text, ["experiment", "config"]);
        let [status, python_version, time_added, max_duration, resources_needed] = json::members(
            experiment.map(RawValue::get).unwrap_or_default(),
            ["status", "pythonver", "time_added", "max_duration", "resources_needed"],
        );
        let lifetime = config.and_then(|config| json::member(config.get(), "experimentLifetime")).or(max_duration);

        let header_experiment: Vec<String> = [("status", status), ("pythonver", python_version)]
            .iter()
            .filter_map(|(name, value)| value.map(|value| format!("\"{name}\":{}", value.get())))
            .collect();
        let header_experiment = format!("{{{}}}", header_experiment.join(","));
        let header_experiment = RawValue::from_string(header_experiment).ok().filter(|value| value.get() != "{}");
        Ok(Self {
            experiment: acceptable(header_experiment.as_deref()),
            time_added: acceptable(time_added),
            experiment_lifetime: acceptable(lifetime),
            resources_needed: acceptable(resources_needed),
        })
    }

    /// Takes over the members of `message`.
    pub(crate) fn from_members<'t>(members: impl Iterator<Item = (&'t str, &'t RawValue)>) -> Self {
        let mut headers = Self::default();
        for (name, value) in members {
            let slot = match name {
                "experiment" => &mut headers.experiment,
                "time_added" => &mut headers.time_added,
                "experiment_lifetime" => &mut headers.experiment_lifetime,
                "resources_needed" => &mut headers.resources_needed,
                _ => continue,
            };
            *slot = Some(value.to_owned()).filter(|value| value.get() != "null");
        }
        headers
    }

    /// The members as JSON text, in the order in which clients write them.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("experiment", &self.experiment),
            ("time_added", &self.time_added),
            ("experiment_lifetime", &self.experiment_lifetime),
            ("resources_needed", &self.resources_needed),
        ]
        .into_iter()
        .filter_map(|(name, value)| value.as_ref().map(|value| (name, value.get())))
    }

    /// `experiment.status`, for example `waiting`; `None` if absent or not a string.
    #[must_use]
    pub fn status(&self) -> Option<String> {
        json::as_string(json::member(self.experiment.as_ref()?.get(), "status")?)
    }

    /// `experiment.pythonver`, for example `3.8`. Read from the deployed misspelling `pthonver` where it is missing.
    #[must_use]
    pub fn python_version(&self) -> Option<String> {
        let experiment = self.experiment.as_ref()?.get();
        let value = json::member(experiment, "pythonver").or_else(|| json::member(experiment, "pthonver"))?;
        json::as_string(value)
    }

    /// `time_added`: seconds since 1970-01-01 00:00 UTC, as the number's text.
    #[must_use]
    pub fn time_added(&self) -> Option<&str> {
        self.time_added.as_ref().map(|value| value.get())
    }

    /// `experiment_lifetime`, for example `30m`.
    #[must_use]
    pub fn experiment_lifetime(&self) -> Option<String> {
        json::as_string(self.experiment_lifetime.as_ref()?)
    }

    /// `resources_needed` as JSON text.
    #[must_use]
    pub fn resources_needed(&self) -> Option<&str> {
        self.resources_needed.as_ref().map(|value| value.get())
    }

    /// Where these headers and the Request disagree: the header's names, `experiment.status` and so on. They are the attacker's
    /// to choose, so each is cut to 64 characters and has no control characters.
    ///
    /// Numbers compare by value. A header that is absent says nothing, so it disagrees with nothing. What only the header has
    /// is a disagreement, unless it is `null`, `0` or `""`, because deployed clients fill in such defaults.
    ///
    /// # Errors
    /// [`RequestError`] if `request` is not a JSON object.
    pub fn disagreements(&self, request: &[u8]) -> Result<Vec<String>, RequestError> {
        let truth = Self::from_request(request)?;
        let text = checked_object(request)?;
        let experiment = json::member(text, "experiment").map(RawValue::get).unwrap_or_default();
        let max_duration = parsed(json::member(experiment, "max_duration"));

        let mut found = Vec::new();
        for (name, header, request) in [
            ("experiment", &self.experiment, &truth.experiment),
            ("resources_needed", &self.resources_needed, &truth.resources_needed),
        ] {
            let (header, request) = (parsed(header.as_deref()), parsed(request.as_deref()));
            differing_members(name, &header, &request, &mut found);
        }
        let time_added = self.time_added.as_deref().map(|header| parsed(Some(header)));
        if time_added.is_some_and(|header| differ(&header, &parsed(truth.time_added.as_deref()))) {
            found.push("time_added".to_owned());
        }
        // one client copies the lifetime from config.experimentLifetime, another from experiment.max_duration
        let lifetime = self.experiment_lifetime.as_deref().map(|header| parsed(Some(header)));
        let fits_neither = |header: Value| {
            differ(&header, &parsed(truth.experiment_lifetime.as_deref())) && differ(&header, &max_duration)
        };
        if lifetime.is_some_and(fits_neither) {
            found.push("experiment_lifetime".to_owned());
        }
        Ok(found)
    }
}

/// A Request's text, checked to be UTF-8 and one JSON object with nothing after it.
pub(crate) fn checked_object(request: &[u8]) -> Result<&str, RequestError> {
    let value: &RawValue = serde_json::from_slice(request)
        .map_err(|error| json::position(&error))
        .map_err(|(line, column)| RequestError::NotJson { line, column })?;
    if value.get().starts_with('{') { Ok(value.get()) } else { Err(RequestError::NotAnObject) }
}

/// The value, if a verifier lets it through as a header.
fn acceptable(value: Option<&RawValue>) -> Option<Box<RawValue>> {
    let value = value?;
    let member = Member { name: String::new(), value };
    json::check_members_unique(&member, HEADER_DEPTH).is_ok().then(|| value.to_owned())
}

fn parsed(value: Option<&RawValue>) -> Value {
    value.and_then(|value| serde_json::from_str(value.get()).ok()).unwrap_or_default()
}

fn differing_members(object: &str, header: &Value, request: &Value, found: &mut Vec<String>) {
    let (Some(header), Some(request)) = (as_object(header), as_object(request)) else {
        if differ(header, request) {
            found.push(object.to_owned());
        }
        return;
    };
    let canonical = |name: &str| if name == "pthonver" { "pythonver".to_owned() } else { name.to_owned() };
    for (name, value) in &header {
        if name == "pthonver" && header.contains_key("pythonver") {
            continue;
        }
        let name = canonical(name);
        if differ(value, request.get(&name).unwrap_or(&Value::Null)) {
            found.push(format!("{object}.{}", json::shortened(&name).escape_debug()));
        }
    }
}

/// An object's members; absent is an object without any.
fn as_object(value: &Value) -> Option<BTreeMap<String, Value>> {
    match value {
        Value::Object(members) => Some(members.clone()),
        Value::Null => Some(BTreeMap::new()),
        _ => None,
    }
}

fn differ(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Null, other) | (other, Value::Null) => !other.is_default(),
        (one, other) => one != other,
    }
}
