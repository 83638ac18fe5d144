//! Keys that name one file or several.

use std::{fmt, path::PathBuf};

use serde::{
    Deserializer, Serialize, Serializer,
    de::{Error, SeqAccess, Visitor},
};

/// A path, or a list of paths.
pub(super) fn one_or_more<'de, D: Deserializer<'de>>(given: D) -> Result<Vec<PathBuf>, D::Error> {
    struct Paths;

    impl<'de> Visitor<'de> for Paths {
        type Value = Vec<PathBuf>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a path or a list of paths")
        }

        fn visit_str<E: Error>(self, path: &str) -> Result<Self::Value, E> {
            Ok(vec![named(path.into())?])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut paths = Vec::new();
            while let Some(path) = list.next_element()? {
                paths.push(named(path)?);
            }
            Ok(paths)
        }
    }

    given.deserialize_any(Paths)
}

/// A path that is not empty.
fn named<E: Error>(path: PathBuf) -> Result<PathBuf, E> {
    if path.as_os_str().is_empty() {
        return Err(E::custom("an empty path names no file; leave the key out"));
    }
    Ok(path)
}

/// One as a path, several as a list.
pub(super) fn as_given<S: Serializer>(paths: &[PathBuf], to: S) -> Result<S::Ok, S::Error> {
    match paths {
        [one] => one.serialize(to),
        several => several.serialize(to),
    }
}
