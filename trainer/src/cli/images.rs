//! The images that a trained network is measured on.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use bagcert_trainer::{
    checkpoint::Header,
    config::{Config, DataConfig, DataKind},
    data::{self, Facts, Images, Test},
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
        let (config, facts) = self.described(header)?;
        Ok(data::test(&config, &facts, &self.data)?)
    }

    /// The last `count` training images, which a run may have kept aside to choose by.
    pub(super) fn open_validation(&self, header: &Header, count: usize) -> Result<Box<dyn Images>> {
        let (config, facts) = self.described(header)?;
        if config.kind == DataKind::Folder {
            bail!(
                "--validation {count}: of a folder of images the part val is what a run chooses by and what is measured without \
                 --validation too; leave it out"
            );
        }
        if self.config.is_some() && count > config.validation {
            bail!(
                "--validation {count}: the configuration keeps {} aside, so the others were trained on; ask for {0} or fewer",
                config.validation
            );
        }
        let config = DataConfig {
            validation: count,
            ..config
        };
        let images = data::training(&config, &facts, &self.data)?;
        let all = images.images.len() + images.validation.count();
        if all < count as i64 {
            bail!("--validation {count}: there are {all} training images");
        }
        Ok(images.validation)
    }

    /// What the images are, which must be those that the network of `header` is for.
    fn described(&self, header: &Header) -> Result<(DataConfig, Facts)> {
        let config = match &self.config {
            Some(path) => Config::read(path)?.data,
            None => assumed(header, &self.data),
        };
        if !self.data.is_dir() {
            bail!("--data {}: there is no such folder", self.data.display());
        }
        let facts = data::facts(&config, &self.data)?;
        let holds = match (&self.config, config.kind) {
            (None, DataKind::Cifar10) => "was taken for CIFAR-10, which has",
            _ => "holds",
        };
        let data = self.data.display();
        if facts.classes.len() != header.classes.len() || facts.size != header.image_size {
            bail!(
                "{data} {holds} {} classes in images of {} pixels, the network is for {} classes in {}; --config says what the \
                 images are",
                facts.classes.len(),
                facts.size,
                header.classes.len(),
                header.image_size
            );
        }
        if let Some(difference) = data::other_classes(&header.classes, &facts.classes) {
            bail!(
                "{data} {holds} other classes than the network is for: {difference}; --config says what the images are"
            );
        }
        Ok((config, facts))
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
