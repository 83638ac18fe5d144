//! What is fetched, and the hashes that it must have.
//!
//! tch 0.24 pairs with libtorch 2.11.0. No CPU-only wheel for x86-64 is on the
//! Python package index; the CUDA wheel serves on a machine without a GPU when
//! the two small CUDA libraries that `libtorch_cpu.so` links to lie beside it.

/// The version of libtorch.
pub(super) const VERSION: &str = "2.11.0";

/// One wheel of the Python package index.
#[derive(Debug)]
pub(super) struct Wheel {
    /// What pip is asked for.
    pub(super) requirement: &'static str,
    /// How the file's name begins.
    pub(super) file_prefix: &'static str,
    /// SHA-256 of the wheel.
    pub(super) sha256: &'static str,
}

/// The three wheels.
pub(super) const WHEELS: [Wheel; 3] = [
    Wheel {
        requirement: "torch==2.11.0",
        file_prefix: "torch-",
        sha256: "0f68f4ac6d95d12e896c3b7a912b5871619542ec54d3649cf48cc1edd4dd2756",
    },
    Wheel {
        requirement: "nvidia-cuda-cupti==13.0.85",
        file_prefix: "nvidia_cuda_cupti-",
        sha256: "4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8",
    },
    Wheel {
        requirement: "nvidia-cuda-runtime==13.0.96",
        file_prefix: "nvidia_cuda_runtime-",
        sha256: "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548",
    },
];

/// One file that is kept: its path inside the wheel and below the libtorch folder.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) path: &'static str,
    pub(super) sha256: &'static str,
}

/// The libraries, and the file by which `torch-sys` knows the version.
pub(super) const FILES: [Kept; 7] = [
    Kept {
        path: "torch/lib/libtorch_cpu.so",
        sha256: "2e1034d418c1c881c86f67fc357b8723efc3f22bdb266f06aace8e6ca9c170b3",
    },
    Kept {
        path: "torch/lib/libtorch.so",
        sha256: "c1840a555e30043ef02c02ee22b21d0687342a3ce82bc971ef2280520c20cd22",
    },
    Kept {
        path: "torch/lib/libc10.so",
        sha256: "be5e17cd7752a6af003978706379384c3108f6b68916bb1949e610f6397bb640",
    },
    Kept {
        path: "torch/lib/libgomp.so.1",
        sha256: "e28fb2896a3d612b46a27d7f8ef840d34c9efbc29b70a044c42095fb94856890",
    },
    Kept {
        path: "torch/version.py",
        sha256: "323d35171ef1184f1d7db3bbd1f3d3e227e0e826be8fd52200778346e17c873f",
    },
    Kept {
        path: "nvidia/cu13/lib/libcupti.so.13",
        sha256: "e2f9ed861fe27c492b8bb52b5e3220ef5120f3edcda36312e96b7fd8a186be3e",
    },
    Kept {
        path: "nvidia/cu13/lib/libcudart.so.13",
        sha256: "96c42e418cec19054186b9429c321603cc190bf26a18104e19408117a2a817b0",
    },
];

/// The folder of headers, kept whole.
pub(super) const HEADERS: &str = "torch/include";

/// SHA-256 of the listing of all headers. In the libtorch folder:
/// `find torch/include -type f | LC_ALL=C sort | xargs sha256sum | sha256sum`.
pub(super) const HEADERS_SHA256: &str =
    "251247f326ba196c331dbdc435d2dee055fffb033215213378f550146dfc7e6e";
