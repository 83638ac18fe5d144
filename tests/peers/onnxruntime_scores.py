"""Runs an ONNX model in onnxruntime on raw images and writes its logits.

    onnxruntime_scores.py MODEL.onnx IMAGES LOGITS

IMAGES holds little-endian f32 values, image after image, each C x H x W as the
model's input says; LOGITS gets the outputs in the same manner. Images go through
one at a time on one thread.
"""

import sys

import numpy as np
import onnx
import onnxruntime


def main() -> None:
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    model, images, logits = sys.argv[1:]
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    source = session.get_inputs()[0]
    shape = [size if isinstance(size, int) else 1 for size in source.shape]
    pixels = np.fromfile(images, "<f4")
    if pixels.size == 0 or pixels.size % np.prod(shape):
        sys.exit(f"{images} does not hold whole images of shape {shape[1:]}")
    with open(logits, "wb") as file:
        for image in pixels.reshape(-1, *shape):
            (scores,) = session.run(None, {source.name: image})
            file.write(np.ascontiguousarray(scores, "<f4").tobytes())


if __name__ == "__main__":
    main()
