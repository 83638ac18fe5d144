//! The images that a trained network is measured on.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use bagcert_trainer::{
    checkpoint::Header,
    config::{Config, DataConfig, DataKind},
    data::{self, Test},
};
use clap::Args;

#[derive(Args)]
pub(super) struct ImagesArgs {
    /// The folder of the images: the CIFAR-10 binary files, plain or .xz, or, where the network was trained on one, a folder
    /// of images by class, unless --config says otherwise.
    #[arg(long)]
    data: PathBuf,
    /// A TOML configuration that says under `data` what the images are.
    #[arg(long)]
    config: Option<PathBuf>,
}

impl ImagesArgs {
    /// The test images, or `val` of an image folder, for the network of `header`.
    pub(super) fn open(&self, header: &Header) -> Result<Test> {
        let config = match &self.config {
            Some(path) => Config::read(path)?.data,
            None => assumed(header, &self.data),
        };
        let facts = data::facts(&config, &self.data)?;
        if facts.classes != header.classes || facts.size != header.image_size {
            bail!(
                "{} holds {} classes in images of {} pixels, the network is for {} classes in {}, or their names \
                 differ; --config says what the images are",
                self.data.display(),
                facts.classes.len(),
                facts.size,
                header.classes.len(),
                header.image_size
            );
        }
        Ok(data::test(&config, &facts, &self.data)?)
    }
}

/// What the images in `data` are where nothing says it: only folders of images are scaled.
fn assumed(header: &Header, data: &Path) -> DataConfig {
    match header.resize.filter(|_| data.join("val").is_dir()) {
        None => DataConfig::default(),
        Some(resize) => DataConfig {
            kind: DataKind::Folder,
            resize,
            crop: header.image_size,
            ..DataConfig::default()
        },
    }
}
