//! What is other in two configurations of a run.

use std::collections::BTreeMap;

use crate::config::Config;

/// Keys that say what is measured and written down on the way; no weight depends on them.
const ASIDE: [&str; 4] = [
    "training.validate_every",
    "training.validation_patches",
    "training.checkpoint_every",
    "training.peak_tflops",
];

/// All keys that a run depends on and that `now` gives other values than `then`, in words; nothing where there is none.
///
/// # Errors
/// Where one cannot be written as TOML.
pub(super) fn difference(then: &Config, now: &Config) -> Result<Option<String>, toml::ser::Error> {
    let (then, now) = (values(then)?, values(now)?);
    let new = now.keys().filter(|key| !then.contains_key(*key));
    let keys = then.keys().chain(new);
    let other = keys.filter(|key| then.get(*key) != now.get(*key));
    let said = |value: Option<&String>| value.map_or("not given", String::as_str).to_owned();
    let each = other.map(|key| {
        let (was, is) = (said(then.get(key)), said(now.get(key)));
        format!("{key} was {was} and is {is} now")
    });
    let each: Vec<String> = each.collect();
    Ok((!each.is_empty()).then(|| each.join(", ")))
}

/// The values of all keys but those aside, by table and key. A network is written out, so that it is the same however it is given.
fn values(config: &Config) -> Result<BTreeMap<String, String>, toml::ser::Error> {
    let config = Config {
        network: config.network.written_out(),
        ..config.clone()
    };
    let mut values = BTreeMap::new();
    for (name, value) in toml::Table::try_from(config)? {
        match value {
            toml::Value::Table(table) => {
                let keys = table.into_iter();
                values
                    .extend(keys.map(|(key, value)| (format!("{name}.{key}"), value.to_string())));
            }
            value => {
                values.insert(name, value.to_string());
            }
        }
    }
    values.retain(|key, _| !ASIDE.contains(&key.as_str()));
    Ok(values)
}
