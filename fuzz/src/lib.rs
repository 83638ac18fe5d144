//! Fuzz targets for everything that reads a file, see `docs/fuzzing.md`.
//!
//! What each does with its bytes stands in `targets.rs`, which the ordinary tests include as well:
//! they replay the corpus.

mod allocator;
mod targets;

pub use targets::{
    cifar10, class_image, graph, key, manifest, model, picture, records, scenario, trainer_config,
};
