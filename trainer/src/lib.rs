//! Trains BagCert networks (Metzen & Yatsura, ICLR 2021) with libtorch.
//!
//! A run is one TOML file ([`config`]): it names the data ([`data`]), the network ([`network`]), the loss of
//! Section 3.3 ([`loss`]) and the optimiser ([`optimiser`]). [`run::train`] trains it, writes checkpoints
//! ([`checkpoint`]) and measures clean and certified accuracy after each epoch ([`evaluate`]); [`attack`] is
//! the patch attack of Section A.2; [`export`] writes the network as ONNX, in which
//! batch normalisation is folded into the convolutions, [`import`] reads such a file back, and [`mean`] makes one
//! network of several.
//! [`results`] draws what came of it.

pub mod attack;
pub mod checkpoint;
pub mod config;
pub mod data;
pub mod device;
pub mod evaluate;
pub mod export;
pub mod import;
mod lock;
pub mod loss;
pub mod mean;
pub mod network;
pub mod optimiser;
mod random;
mod regular;
pub mod results;
pub mod run;
mod table;
