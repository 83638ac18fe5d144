//! Tables of a manifest that are written as tables: serde would read a struct from an array too, and cut what is too much.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A struct, from a table only.
pub(super) fn table<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    from: D,
) -> Result<T, D::Error> {
    InTable::deserialize(from).map(|InTable(value)| value)
}

/// Structs, each from a table.
pub(super) fn tables<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    from: D,
) -> Result<Vec<T>, D::Error> {
    let found = Vec::<InTable<T>>::deserialize(from)?;
    Ok(found.into_iter().map(|InTable(value)| value).collect())
}

struct InTable<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for InTable<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Table(PhantomData)).map(InTable)
    }
}

struct Table<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Table<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}
