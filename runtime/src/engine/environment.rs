//! tract reads settings from the environment, some of which change how it computes.
//!
//! One of them (`TRACT_AVGPOOL_SEPARABLE`) turns average pooling into a running sum over the whole
//! row, which shares its rounding between distant cells: a certificate would be wrong.

use std::ffi::{OsStr, OsString};

use super::EngineError;

const PREFIX: &str = "TRACT_";

/// Fails where one of `names` is a setting of tract.
pub(super) fn check(names: impl Iterator<Item = OsString>) -> Result<(), EngineError> {
    let is_setting = |name: &OsStr| {
        let name = name.as_encoded_bytes();
        name.get(..PREFIX.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(PREFIX.as_bytes()))
    };
    for name in names {
        if is_setting(&name) {
            let name = name.to_string_lossy().into_owned();
            return Err(EngineError::Environment { name });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::engine::EngineError;

    #[test]
    fn settings_of_the_engine_are_refused_by_name() {
        let names = |names: &[&str]| check(names.iter().map(Into::into));
        assert!(names(&[]).is_ok());
        assert!(names(&["PATH", "CONTRACT_X", "TRACT", "EXTRACT_"]).is_ok());
        for name in ["TRACT_AVGPOOL_SEPARABLE", "tract_x", "TRACT_"] {
            let outcome = names(&["PATH", name]);
            assert!(
                matches!(&outcome, Err(EngineError::Environment { name: found }) if found == name)
            );
        }
    }
}
