//! Training images, batch by batch: from memory, or decoded ahead while the step runs.

use std::{
    sync::mpsc::{Receiver, sync_channel},
    thread::{self, JoinHandle},
};

use tch::{Device, Tensor};

use super::{Augmentation, DataError, Dataset, Folder, Variation};

/// Batches that are decoded before they are asked for.
const AHEAD: usize = 3;

/// Training images.
#[derive(Debug)]
pub enum Source {
    /// All on one device.
    Memory(Dataset),
    /// Decoded from files when they are needed.
    Folder(Folder),
}

impl Source {
    /// How many images there are.
    pub fn len(&self) -> i64 {
        match self {
            Self::Memory(data) => data.len(),
            Self::Folder(folder) => folder.len(),
        }
    }

    /// The same on `device`.
    #[must_use]
    pub fn on(self, device: Device) -> Self {
        match self {
            Self::Memory(data) => Self::Memory(data.to_device(device)),
            Self::Folder(folder) => Self::Folder(folder.on(device)),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where batches are.
    pub fn device(&self) -> Device {
        match self {
            Self::Memory(data) => data.images.device(),
            Self::Folder(folder) => folder.device(),
        }
    }

    /// The images in `order` (indices on the CPU), `batch` at a time; what is left over at the end is left out.
    ///
    /// From memory, images are varied by libtorch's generator when their batch is taken; from files, by `seed`
    /// and the index of each.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub fn batches(
        &self,
        order: &Tensor,
        batch: i64,
        augmentation: Augmentation,
        seed: i64,
    ) -> Result<Batches<'_>, DataError> {
        let kind = match self {
            Self::Memory(data) => Kind::Memory {
                data,
                order: order.to_device(data.images.device()),
                augmentation,
            },
            Self::Folder(folder) => {
                let order = Vec::<i64>::try_from(order)
                    .map_err(|error| DataError::Threads(error.to_string()))?;
                let variation = Variation {
                    seed,
                    flip: augmentation.flip,
                };
                Kind::Folder(folder, Ahead::start(folder, order, batch, variation)?)
            }
        };
        Ok(Batches {
            kind,
            batch,
            taken: 0,
        })
    }
}

/// The batches of one epoch.
#[derive(Debug)]
pub struct Batches<'s> {
    kind: Kind<'s>,
    batch: i64,
    taken: i64,
}

#[derive(Debug)]
enum Kind<'s> {
    Memory {
        data: &'s Dataset,
        order: Tensor,
        augmentation: Augmentation,
    },
    Folder(&'s Folder, Ahead),
}

impl Batches<'_> {
    /// The next batch.
    ///
    /// # Errors
    /// An image that cannot be used, or more batches than there are.
    pub fn next_batch(&mut self) -> Result<Dataset, DataError> {
        let start = self.taken * self.batch;
        self.taken += 1;
        match &self.kind {
            Kind::Memory {
                data,
                order,
                augmentation,
            } => {
                let chosen = order.narrow(0, start, self.batch);
                Ok(Dataset {
                    images: augmentation.apply(&data.images.index_select(0, &chosen)),
                    labels: data.labels.index_select(0, &chosen),
                })
            }
            Kind::Folder(folder, ahead) => Ok(ahead.next()?.to_device(folder.device())),
        }
    }
}

type Decoded = Result<Dataset, DataError>;

/// A thread that decodes ahead, into memory that the device can copy from; it ends when it is dropped.
#[derive(Debug)]
struct Ahead {
    receiver: Option<Receiver<Decoded>>,
    thread: Option<JoinHandle<()>>,
}

impl Ahead {
    fn start(
        folder: &Folder,
        order: Vec<i64>,
        batch: i64,
        variation: Variation,
    ) -> Result<Self, DataError> {
        let (sender, receiver) = sync_channel(AHEAD);
        let folder = folder.clone();
        let size = usize::try_from(batch).unwrap_or(1).max(1);
        let work = move || {
            for indices in order.chunks_exact(size) {
                let decoded = folder.ready(indices, Some(variation));
                let failed = decoded.is_err();
                // Where nobody listens any more, the epoch is over.
                if sender.send(decoded).is_err() || failed {
                    return;
                }
            }
        };
        let thread = thread::Builder::new()
            .name("decode".into())
            .spawn(work)
            .map_err(|error| DataError::Threads(error.to_string()))?;
        Ok(Self {
            receiver: Some(receiver),
            thread: Some(thread),
        })
    }

    fn next(&self) -> Decoded {
        let gone = || DataError::Threads("there is no further batch".into());
        let receiver = self.receiver.as_ref().ok_or_else(gone)?;
        receiver.recv().map_err(|_| gone())?
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        // Closed first, so that the thread does not wait to hand over what nobody wants.
        drop(self.receiver.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}
