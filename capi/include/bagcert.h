/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Image classifiers whose answers are certified against adversarial patches: the C interface of
 * bagcert. Made by cbindgen from capi/runtime; what it is for, and how it is linked, stands in
 * docs/c-interface.md. The library holds all of bagcert_certifier.h as well: link it alone.
 *
 * Every call returns a status. Anything but BAGCERT_MODEL_STATUS_OK means: no verdict for this frame.
 * Then every verdict that the output leads to says "not certified", and so says one of which all
 * bytes are 0. Calls may come from any thread.
 */


#ifndef BAGCERT_H
#define BAGCERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "bagcert_certifier.h"

// Number of this interface; it grows with every change that a program compiled before would not
// survive. Compare it with what bagcert_abi returns.
#define BAGCERT_ABI 2

// How a call ended. Everything but BAGCERT_MODEL_STATUS_OK means: no verdict. bagcert_last_error has
// the reason.
enum BagcertModelStatus
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // Done.
  BAGCERT_MODEL_STATUS_OK = 0,
  // An argument that can never be: a null or misaligned pointer, memory that overlaps, a wrong
  // length, a patch that does not fit, an unknown condition.
  BAGCERT_MODEL_STATUS_BAD_ARGUMENT = 1,
  // No open model has this number.
  BAGCERT_MODEL_STATUS_NO_SUCH_MODEL = 2,
  // The model is not one that may be used: its file, its manifest, its signature, the key, or what
  // its engine answered when it was opened.
  BAGCERT_MODEL_STATUS_REFUSED = 3,
  // The image has a value outside [0, 1], or is not of the model's size.
  BAGCERT_MODEL_STATUS_BAD_IMAGE = 4,
  // The frame has no verdict: a logit is NaN or infinite.
  BAGCERT_MODEL_STATUS_FAULT = 5,
  // The forward pass failed; close the model and open it anew.
  BAGCERT_MODEL_STATUS_FAILED = 6,
  // An earlier call on this model panicked or failed; close it and open it anew.
  BAGCERT_MODEL_STATUS_BROKEN = 7,
  // A defect of the library, caught before it could leave it; please report it.
  BAGCERT_MODEL_STATUS_PANICKED = 8,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum BagcertModelStatus BagcertModelStatus;
#else
typedef int32_t BagcertModelStatus;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// An open model. 0 is none, and no number is given twice while the program runs.
typedef uint64_t BagcertModel;

// What a model is.
typedef struct BagcertModelInfo {
  // Channels of an image: red, green and blue.
  size_t channels;
  // Rows of an image, in pixels.
  size_t height;
  // Columns of an image, in pixels.
  size_t width;
  // Values of an image: channels * height * width.
  size_t image_len;
  // Extents of the score map.
  BagcertShape shape;
  // Which pixels each cell of the score map may depend on.
  BagcertGeometry geometry;
  // SHA-256 of the file, in lower-case hexadecimal, ended by a zero.
  char sha256[65];
  // Whether the file is the one that its manifest names, and answered its golden frames; it may have none,
  // and `bagcert inspect` counts them.
  bool has_manifest;
} BagcertModelInfo;

// How long the two parts of a call took, in nanoseconds.
typedef struct BagcertTimes {
  // The forward pass.
  uint64_t forward;
  // From logits to verdicts.
  uint64_t certificate;
} BagcertTimes;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Number of the library's interface. A header goes with it whose BAGCERT_ABI is the same.
uint32_t bagcert_abi(void);

// Why the last call on this thread that failed did so, in words; "" where none has. Never NULL. It
// stays until the next call of this thread that fails; do not free it.
const char *bagcert_last_error(void);

// Opens the model at `path`, an ONNX file with its manifest beside it (NAME.onnx, NAME.toml): admits
// it, makes its engine, checks its numerics, and asks it the manifest's golden frames. This takes
// seconds. With `public_key`, the path of an Ed25519 key (PEM), the manifest must be signed by it;
// NULL asks for no signature.
//
// Writes the model's number to `model`, and 0 where it is refused. Close it with
// bagcert_model_close.
//
// # Safety
// `path` is NULL, which is an error, or leads to a text that ends with a zero; so does `public_key`,
// where NULL is none. `model` is NULL, which is an error, or can be written.
BagcertModelStatus bagcert_model_open(const char *path,
                                      const char *public_key,
                                      BagcertModel *model);

// Opens the model at `path`, whatever file it is: no manifest, no golden frames. For development;
// nothing then says that it is the model that is meant.
//
// # Safety
// As of bagcert_model_open.
BagcertModelStatus bagcert_model_open_bare(const char *path, BagcertModel *model);

// Closes a model. Its number is none from then on; a call on it that is still running on another
// thread ends as it would have.
BagcertModelStatus bagcert_model_close(BagcertModel model);

// What an open model is: sizes of image and score map, geometry, hash.
//
// # Safety
// `info` is NULL, which is an error, or can be written.
BagcertModelStatus bagcert_model_describe(BagcertModel model, struct BagcertModelInfo *info);

// Writes the name of a class, ended by a zero, to the `name_len` bytes at `name`. A name that does
// not fit is an error, and then `name` is empty.
//
// # Safety
// `name` is NULL, which is an error, or leads to `name_len` bytes that can be written, and that
// nobody else reads or writes during the call.
BagcertModelStatus bagcert_model_class_name(BagcertModel model,
                                            size_t class_index,
                                            char *name,
                                            size_t name_len);

// Certifies a frame of `channels * height * width` values in [0, 1]: channel slowest (red, green,
// blue), then row, then column. `times` may be NULL.
//
// # Safety
// Each pointer is NULL, which is an error unless its length is 0 or it may be so, or leads to as many
// whole objects of its type as its length says, in memory that stays there during the call. Nobody
// else reads or writes `times` and what `output` points to, or writes to the rest, during the call.
// Alignment and overlaps are checked. Calls on one model wait for each other.
BagcertModelStatus bagcert_model_certify(BagcertModel model,
                                         const BagcertQuery *query,
                                         const float *image,
                                         size_t image_len,
                                         const BagcertOutput *output,
                                         struct BagcertTimes *times);

// Certifies a frame of `height * width` pixels of three bytes, red, green, blue, row by row, as
// cameras and decoders give them. A byte v stands for v / 255. `times` may be NULL.
//
// # Safety
// As of bagcert_model_certify.
BagcertModelStatus bagcert_model_certify_rgb8(BagcertModel model,
                                              const BagcertQuery *query,
                                              const uint8_t *image,
                                              size_t image_len,
                                              const BagcertOutput *output,
                                              struct BagcertTimes *times);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* BAGCERT_H */
