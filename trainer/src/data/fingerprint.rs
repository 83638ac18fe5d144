//! What a run was trained on, so that a resumed one is known to go on with the same.

use bagcert_images::ListedImage;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The images of a run, part by part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// The parts `train` and `val` of an image folder, or the record files.
    pub parts: Vec<PartPrint>,
}

/// What one part holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartPrint {
    /// The part of a folder, or the name of a record file.
    pub name: String,
    /// Images of each class, in label order.
    pub images: Vec<u64>,
    /// SHA-256 of all records; of a folder, which is not read for this, of the list of its images with the length
    /// of each file, or of their names alone.
    pub sha256: String,
}

impl PartPrint {
    /// Of a part of an image folder.
    pub(super) fn of_folder(name: &str, classes: usize, listed: &[ListedImage]) -> Self {
        let line =
            |image: &ListedImage| format!("{} {} {}\n", image.label, image.bytes, image.name);
        Self::of_lines(name, classes, listed, line)
    }

    /// Of the same, whatever the lengths of the files.
    pub(super) fn of_names(name: &str, classes: usize, listed: &[ListedImage]) -> Self {
        let line = |image: &ListedImage| format!("{} {}\n", image.label, image.name);
        Self::of_lines(name, classes, listed, line)
    }

    fn of_lines(
        name: &str,
        classes: usize,
        listed: &[ListedImage],
        line: impl Fn(&ListedImage) -> String,
    ) -> Self {
        let mut counted = Counted::new(classes);
        for image in listed {
            counted.add(image.label, line(image).as_bytes());
        }
        counted.end(name)
    }
}

/// Counts and hashes image by image.
pub(super) struct Counted {
    images: Vec<u64>,
    hash: Sha256,
}

impl Counted {
    pub(super) fn new(classes: usize) -> Self {
        Self {
            images: vec![0; classes],
            hash: Sha256::new(),
        }
    }

    pub(super) fn add(&mut self, label: usize, content: &[u8]) {
        if let Some(count) = self.images.get_mut(label) {
            *count += 1;
        }
        self.hash.update((label as u64).to_le_bytes());
        self.hash.update(content);
    }

    pub(super) fn end(self, name: &str) -> PartPrint {
        PartPrint {
            name: name.into(),
            images: self.images,
            sha256: format!("{:x}", self.hash.finalize()),
        }
    }
}

/// What became of the classes since `then`, in words; nothing where they are the same.
pub fn other_classes(then: &[String], now: &[String]) -> Option<String> {
    if then == now {
        return None;
    }
    let beyond = |all: &[String], known: &[String]| -> Vec<String> {
        let new = all.iter().filter(|name| !known.contains(name));
        new.map(|name| format!("{name:?}")).collect()
    };
    let (gone, new) = (beyond(then, now), beyond(now, then));
    let said = [("gone", &gone), ("new", &new)]
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(what, names)| match names.as_slice() {
            [one] => format!("the class {one} is {what}"),
            several => format!("the classes {} are {what}", several.join(", ")),
        });
    let said: Vec<String> = said.collect();
    if !said.is_empty() {
        return Some(said.join(", "));
    }
    let moved = then.iter().zip(now).find(|(then, now)| then != now);
    Some(match moved {
        Some((then, now)) => {
            format!("the classes are in another order: {now:?} stands where {then:?} stood")
        }
        None => format!("there were {} classes, now {}", then.len(), now.len()),
    })
}

impl Fingerprint {
    /// The first difference to `now`, in words, of images of the same `classes`; nothing where there is none.
    pub(crate) fn other_images(&self, now: &Fingerprint, classes: &[String]) -> Option<String> {
        if self == now {
            return None;
        }
        for part in &self.parts {
            let name = &part.name;
            let Some(found) = now.parts.iter().find(|found| found.name == *name) else {
                return Some(format!("{name} is gone"));
            };
            let counts = part.images.iter().zip(&found.images).zip(classes);
            for ((then, now), class) in counts {
                if then != now {
                    return Some(format!(
                        "the class {class:?} had {then} images in {name}, now {now}"
                    ));
                }
            }
            if part != found {
                return Some(format!(
                    "{name} holds other images than before, as many of each class"
                ));
            }
        }
        let known = |found: &&PartPrint| self.parts.iter().all(|part| part.name != found.name);
        let new = now.parts.iter().find(known);
        Some(new.map_or_else(
            || "the files are in another order, or one is there twice".into(),
            |found| format!("{} is new", found.name),
        ))
    }

    /// Two parts that hold the same images.
    pub(super) fn twice(&self) -> Option<[&str; 2]> {
        for (at, part) in self.parts.iter().enumerate() {
            let same = |other: &&PartPrint| other.sha256 == part.sha256;
            if let Some(first) = self.parts.iter().take(at).find(same) {
                return Some([&first.name, &part.name]);
            }
        }
        None
    }

    /// The class that all images are of; nothing where they are of several.
    pub(crate) fn only_class<'c>(&self, classes: &'c [String]) -> Option<&'c str> {
        let count = |class: usize| -> u64 {
            let each = self.parts.iter();
            each.filter_map(|part| part.images.get(class)).sum()
        };
        let mut seen = (0..classes.len()).filter(|class| count(*class) > 0);
        match (seen.next(), seen.next()) {
            (Some(only), None) => classes.get(only).map(String::as_str),
            _ => None,
        }
    }

    /// The first of `classes` that the last part lacks and another has.
    pub(super) fn missing_at_the_end(&self, classes: &[String]) -> Option<String> {
        let (last, others) = self.parts.split_last()?;
        let has = |part: &PartPrint, class: usize| part.images.get(class).is_some_and(|n| *n > 0);
        let lacks =
            |class: &usize| !has(last, *class) && others.iter().any(|other| has(other, *class));
        let class = (0..classes.len()).find(lacks)?;
        classes.get(class).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn what_became_of_classes_is_said() {
        let then = names(&["ash", "birch", "cedar"]);
        let said = |now: &[&str]| other_classes(&then, &names(now)).unwrap_or_default();
        assert_eq!(said(&["ash", "birch", "cedar"]), "");
        assert_eq!(said(&["ash", "birch"]), "the class \"cedar\" is gone");
        assert_eq!(
            said(&["ash", "birch", "cedar", "elm", "fir"]),
            "the classes \"elm\", \"fir\" are new"
        );
        assert_eq!(
            said(&["ash", "birch", "thuja"]),
            "the class \"cedar\" is gone, the class \"thuja\" is new"
        );
        assert_eq!(
            said(&["ash", "cedar", "birch"]),
            "the classes are in another order: \"cedar\" stands where \"birch\" stood"
        );
        assert!(said(&["ash", "birch", "cedar", "ash"]).contains("3 classes, now 4"));
    }

    #[test]
    fn images_of_one_class_and_images_there_twice_are_known() {
        let classes = names(&["ash", "birch"]);
        let print = |parts: &[([u64; 2], &str)]| Fingerprint {
            parts: (1..)
                .zip(parts)
                .map(|(at, (images, sha256))| PartPrint {
                    name: format!("part{at}"),
                    images: images.to_vec(),
                    sha256: (*sha256).into(),
                })
                .collect(),
        };
        let several = print(&[([3, 0], "a"), ([0, 1], "b")]);
        assert_eq!(several.only_class(&classes), None);
        assert_eq!(several.twice(), None);
        let one = print(&[([3, 0], "a"), ([1, 0], "b")]);
        assert_eq!(one.only_class(&classes), Some("ash"));
        let twice = print(&[([3, 1], "a"), ([3, 1], "b"), ([3, 1], "a")]);
        assert_eq!(twice.twice(), Some(["part1", "part3"]));
        let lacking = |parts: &[([u64; 2], &str)]| print(parts).missing_at_the_end(&classes);
        assert_eq!(lacking(&[([3, 2], "a"), ([1, 1], "b")]), None);
        assert_eq!(
            lacking(&[([3, 2], "a"), ([1, 0], "b")]),
            Some("birch".into())
        );
    }

    #[test]
    fn what_became_of_images_is_said() {
        let classes = names(&["ash", "birch"]);
        let part = |name: &str, images: [u64; 2], sha256: &str| PartPrint {
            name: name.into(),
            images: images.to_vec(),
            sha256: sha256.into(),
        };
        let print = |parts: &[PartPrint]| Fingerprint {
            parts: parts.to_vec(),
        };
        let then = print(&[part("train", [3, 4], "a"), part("val", [1, 1], "b")]);
        let said = |parts: &[PartPrint]| {
            then.other_images(&print(parts), &classes)
                .unwrap_or_default()
        };
        assert_eq!(said(&then.parts), "");
        assert_eq!(
            said(&[part("train", [3, 4], "a"), part("val", [1, 2], "b")]),
            "the class \"birch\" had 1 images in val, now 2"
        );
        assert_eq!(
            said(&[part("train", [3, 4], "c"), part("val", [1, 1], "b")]),
            "train holds other images than before, as many of each class"
        );
        assert_eq!(said(&[part("train", [3, 4], "a")]), "val is gone");
        let more = [&then.parts[..], &[part("more", [0, 0], "")]].concat();
        assert_eq!(said(&more), "more is new");
        let turned: Vec<PartPrint> = then.parts.iter().rev().cloned().collect();
        assert!(said(&turned).starts_with("the files are in another order"));
        // Two files of one name, in folders of their own.
        let twins = print(&[part("t", [1, 0], "a"), part("t", [0, 2], "b")]);
        assert_eq!(twins.other_images(&twins, &classes), None);
        let turned = print(&[part("t", [0, 2], "b"), part("t", [1, 0], "a")]);
        assert!(twins.other_images(&turned, &classes).is_some());
    }
}
