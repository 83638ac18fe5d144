//! bagcert

pub mod admission;
pub mod engine;
pub mod frames;
mod guard;
pub mod network;
pub mod pipeline;
pub mod report;
pub mod tally;
