/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Certificates against adversarial patches, in the caller's memory: the C interface of
 * bagcert-certifier. Made by cbindgen from capi/certifier; what it is for, and how it is linked,
 * stands in docs/c-interface.md.
 *
 * Every call returns a status. Anything but BAGCERT_STATUS_OK means: no verdict for this frame. Then
 * every verdict that the output leads to says "not certified", and so says one of which all bytes
 * are 0. Calls keep nothing: they may come from any number of threads at the same time, as long as
 * each has its own memory and output.
 */


#ifndef BAGCERT_CERTIFIER_H
#define BAGCERT_CERTIFIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Lengths of memory as constant expressions, for static arrays; bagcert_memory_len gives the same
 * numbers, and checks that they do not overflow. Arguments are evaluated more than once. */

/* Bytes of BagcertMemory.scores. */
#define BAGCERT_SCORES_LEN(classes, height, width) \
  (BAGCERT_PACKED_LEN(classes, height, width) + 4 * (size_t)(classes))

/* Bytes of packed scores. */
#define BAGCERT_PACKED_LEN(classes, height, width) \
  (BAGCERT_CHUNKS_(classes) * (size_t)(height) * (size_t)(width))

/* Words of BagcertMemory.table under Conditions 3.1, 3.2 and 3.3. */
#define BAGCERT_TABLE_LEN(classes, height, width) \
  (8 * BAGCERT_CHUNKS_(classes) * (BAGCERT_CORNERS_(height, width) + 2))

/* Words of BagcertMemory.table under a masking condition with so many patch sizes. */
#define BAGCERT_MASKS_LEN(classes, height, width, patches) \
  (8 * (BAGCERT_CHUNKS_(classes) * BAGCERT_CORNERS_(height, width) \
        + BAGCERT_MAX_((size_t)(height) * (size_t)(width), BAGCERT_LANE_(height, width)) \
        + ((size_t)(width) + 1) * (2 * BAGCERT_BITS_(width) + 8) \
        + BAGCERT_CHUNKS_(height)) \
   + 2 * (size_t)(height) * (size_t)(width) * (size_t)(patches))

#define BAGCERT_CHUNKS_(number) (((size_t)(number) + 7) / 8)
#define BAGCERT_LANE_(height, width) \
  ((3 * (size_t)(height) + 14) * BAGCERT_CHUNKS_(width) + BAGCERT_CHUNKS_(height) + 8)
#define BAGCERT_MAX_(a, b) ((a) > (b) ? (a) : (b))
#define BAGCERT_CORNERS_(height, width) (((size_t)(height) + 1) * ((size_t)(width) + 1))
#define BAGCERT_BIT_(n, i) ((size_t)(((uint64_t)(n) >> (i)) != 0))
#define BAGCERT_BITS4_(n, i) \
  (BAGCERT_BIT_(n, i) + BAGCERT_BIT_(n, (i) + 1) + BAGCERT_BIT_(n, (i) + 2) \
   + BAGCERT_BIT_(n, (i) + 3))
#define BAGCERT_BITS_(n) \
  (BAGCERT_BITS4_(n, 0) + BAGCERT_BITS4_(n, 4) + BAGCERT_BITS4_(n, 8) + BAGCERT_BITS4_(n, 12) \
   + BAGCERT_BITS4_(n, 16) + BAGCERT_BITS4_(n, 20) + BAGCERT_BITS4_(n, 24) \
   + BAGCERT_BITS4_(n, 28))


// Number of this interface; it grows with every change that a program compiled before would not
// survive. Compare it with what `bagcert_certifier_abi` returns.
#define BAGCERT_CERTIFIER_ABI 2

// Patch sizes that one query may name.
#define BAGCERT_MAX_PATCHES 32

// How a call ended. Everything but BAGCERT_STATUS_OK means: no verdict.
enum BagcertStatus
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // Done.
  BAGCERT_STATUS_OK = 0,
  // A pointer that must lead somewhere is NULL.
  BAGCERT_STATUS_NULL_POINTER = 1,
  // A pointer is not aligned for its type.
  BAGCERT_STATUS_MISALIGNED = 2,
  // An array is longer than the address space behind its pointer.
  BAGCERT_STATUS_ARRAY_TOO_LONG = 3,
  // Memory that is written overlaps other memory of the same call.
  BAGCERT_STATUS_OVERLAP = 4,
  // Fewer than two classes.
  BAGCERT_STATUS_NO_RIVAL = 10,
  // A score map without a cell.
  BAGCERT_STATUS_EMPTY_MAP = 11,
  // A score map too large for this machine.
  BAGCERT_STATUS_MAP_TOO_LARGE = 12,
  // An axis without a pixel.
  BAGCERT_STATUS_NO_INPUTS = 20,
  // An axis without a cell.
  BAGCERT_STATUS_NO_OUTPUTS = 21,
  // A stride of 0.
  BAGCERT_STATUS_ZERO_STRIDE = 22,
  // A receptive field with lo > hi.
  BAGCERT_STATUS_EMPTY_RECEPTIVE_FIELD = 23,
  // A length, stride or offset above 2^30.
  BAGCERT_STATUS_EXTENT_TOO_LARGE = 24,
  // The geometry's cells are not the score map's.
  BAGCERT_STATUS_GEOMETRY_MISMATCH = 25,
  // More cells than 32 bits can count, or more than 2^31 - 1 windows.
  BAGCERT_STATUS_TOO_MANY_CELLS = 26,
  // The query names no patch size.
  BAGCERT_STATUS_NO_PATCH = 30,
  // The query names more than BAGCERT_MAX_PATCHES patch sizes.
  BAGCERT_STATUS_TOO_MANY_PATCHES = 31,
  // A patch size with a side of 0.
  BAGCERT_STATUS_EMPTY_PATCH = 32,
  // A patch that does not fit the image.
  BAGCERT_STATUS_PATCH_TOO_LARGE = 33,
  // A patch that fits into none of the sizes that the masks were made for.
  BAGCERT_STATUS_PATCH_NOT_MASKED = 34,
  // A condition that is none of BagcertCondition.
  BAGCERT_STATUS_UNKNOWN_CONDITION = 35,
  // A mask step of 0 under a masking condition.
  BAGCERT_STATUS_ZERO_MASK_STEP = 36,
  // A lead under another condition than double masking.
  BAGCERT_STATUS_UNUSED_LEAD = 37,
  // The number of logits is not that of the shape.
  BAGCERT_STATUS_LOGITS_LENGTH = 40,
  // A logit is NaN or infinite.
  BAGCERT_STATUS_NON_FINITE = 41,
  // The number of scores is not that of the shape.
  BAGCERT_STATUS_SCORES_LENGTH = 42,
  // A score is neither 0 nor 1, or a class that does not exist has one.
  BAGCERT_STATUS_NOT_BINARY = 43,
  // The memory is too short.
  BAGCERT_STATUS_MEMORY_TOO_SMALL = 50,
  // The number of verdicts is not that of the query's patch sizes.
  BAGCERT_STATUS_VERDICTS_LENGTH = 51,
  // The number of votes is neither that of the classes nor 0.
  BAGCERT_STATUS_VOTES_LENGTH = 52,
  // A defect of this library.
  BAGCERT_STATUS_INTERNAL = 99,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum BagcertStatus BagcertStatus;
#else
typedef int32_t BagcertStatus;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// What a certificate rests on, and which predictor answers. The first three answer with the class
// that has the most votes, the lowest one on a tie; the masking ones are predictors of their own.
enum BagcertCondition
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // Condition 3.1: the worst case; for summed votes the same as Condition 3.2.
  BAGCERT_CONDITION_WORST_CASE31 = 1,
  // Condition 3.2: for every place of the patch, the margin outside what it reaches.
  BAGCERT_CONDITION_SUM_WINDOW32 = 2,
  // Condition 3.3: the margin of the whole map; weaker than 3.2.
  BAGCERT_CONDITION_SUM_GLOBAL33 = 3,
  // Condition 3.1 for the mask aggregator.
  BAGCERT_CONDITION_MASK = 4,
  // Double masking.
  BAGCERT_CONDITION_DOUBLE_MASK = 5,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum BagcertCondition BagcertCondition;
#else
typedef uint32_t BagcertCondition;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// Extents of a score map.
typedef struct BagcertShape {
  // Classes, at least 2.
  size_t classes;
  // Rows of cells.
  size_t height;
  // Columns of cells.
  size_t width;
} BagcertShape;

// Size of a patch in pixels, both sides at least 1.
typedef struct BagcertPatch {
  // Width.
  uint32_t width;
  // Height.
  uint32_t height;
} BagcertPatch;

// What is asked of a frame.
typedef struct BagcertQuery {
  // The patch sizes, one verdict each. Under a masking condition they are part of the predictor:
  // fix them for a deployment.
  const struct BagcertPatch *patches;
  // Their number, from 1 to BAGCERT_MAX_PATCHES.
  size_t patches_len;
  // A BagcertCondition; any other number is refused.
  uint32_t condition;
  // Under a masking condition, the step from window to window, at least 1: every mask_step-th
  // window along each axis, mask_step - 1 cells longer. Part of the predictor. Not looked at
  // under another condition.
  uint32_t mask_step;
  // Under double masking, the votes by which a class must be ahead beyond a majority: to override the
  // vote outside a window, and to be certified. Part of the predictor. 0 under another condition.
  uint32_t lead;
} BagcertQuery;

// Lengths of the memory that a query takes, in words.
typedef struct BagcertMemoryLen {
  // Words of 1 byte.
  size_t scores_len;
  // Words of 2 bytes.
  size_t table_len;
} BagcertMemoryLen;

// Along one axis, output cell i reads the pixels stride * i + lo to stride * i + hi, both
// included. Pixels outside the image are padding, which no patch changes.
typedef struct BagcertAxis {
  // Pixels of the image.
  uint32_t inputs;
  // Cells of the score map.
  uint32_t outputs;
  // Pixels from one cell's receptive field to the next one's.
  uint32_t stride;
  // First offset that a cell reads.
  int32_t lo;
  // Last offset that a cell reads.
  int32_t hi;
} BagcertAxis;

// Which pixels each cell reads. It must be that of the network that gave the scores.
typedef struct BagcertGeometry {
  // Columns.
  struct BagcertAxis x;
  // Rows.
  struct BagcertAxis y;
} BagcertGeometry;

// The caller's memory. What it holds before a call does not matter; it may be used for the next
// frame, and for anything else between calls.
typedef struct BagcertMemory {
  // For scores and votes. After a call that succeeded it begins with the packed scores, as
  // bagcert_certify_packed takes them.
  uint8_t *scores;
  // Its length in bytes.
  size_t scores_len;
  // For summed-area tables.
  int16_t *table;
  // Its length in words of 2 bytes.
  size_t table_len;
} BagcertMemory;

// A pixel, counted from the top left.
typedef struct BagcertPixel {
  // Column.
  uint32_t x;
  // Row.
  uint32_t y;
} BagcertPixel;

// A rectangle of cells, first and last included.
typedef struct BagcertCells {
  // First column.
  uint32_t first_x;
  // Last column.
  uint32_t last_x;
  // First row.
  uint32_t first_y;
  // Last row.
  uint32_t last_y;
} BagcertCells;

// The answer for one patch size. Where there is none (the call returned anything but
// BAGCERT_STATUS_OK), predicted and rival are SIZE_MAX, certified is false and slack INT64_MIN.
typedef struct BagcertVerdict {
  // Predicted class, by the predictor of the condition.
  size_t predicted;
  // Whether no patch of this size can change the prediction: slack > 0.
  bool certified;
  // Votes that are left to the prediction in the worst case, above its strongest rival.
  int64_t slack;
  // The class at which that is so.
  size_t rival;
  // Top-left pixel of the worst patch.
  struct BagcertPixel worst;
  // Whether there is a second window; only for double masking.
  bool has_second;
  // The second window of the worst pair.
  struct BagcertCells second;
  // The patch size.
  struct BagcertPatch patch;
  // The condition, a BagcertCondition.
  uint32_t condition;
} BagcertVerdict;

// More of what was wrong. Fields that do not matter are 0.
typedef struct BagcertDetail {
  // The argument that is to blame, as the header names it; never null, "" where it is none.
  const char *argument;
  // For lengths: how many there must be.
  size_t needed;
  // For lengths: how many there are.
  size_t found;
  // For scores and logits: the class.
  size_t class_index;
  // For scores and logits: the row of the cell.
  size_t y;
  // For scores and logits: the column of the cell.
  size_t x;
} BagcertDetail;

// Where answers go. What these point to is overwritten by every call that can make sense of the
// pointers, whether it succeeds or not: no answer of an earlier frame is left.
typedef struct BagcertOutput {
  // One verdict for each patch size of the query, in its order.
  struct BagcertVerdict *verdicts;
  // Number of verdicts; must be patches_len of the query.
  size_t verdicts_len;
  // Votes of every class on the whole map; NULL where they are not wanted.
  uint32_t *votes;
  // Number of votes; must be the number of classes, or 0 where they are not wanted.
  size_t votes_len;
  // Largest k such that every square patch up to k x k is certified under Condition 3.2, 0 where
  // none is; NULL where it is not wanted. Under a masking condition it is set to 0.
  uint32_t *largest_square;
  // What was wrong, where the call fails; NULL where it is not wanted.
  struct BagcertDetail *detail;
} BagcertOutput;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Number of the library's interface. A header goes with it whose BAGCERT_CERTIFIER_ABI is the same.
uint32_t bagcert_certifier_abi(void);

// Version of the library, as in "0.1.0". Never NULL; do not free it.
const char *bagcert_certifier_version(void);

// A status in words, for any number. Never NULL; do not free it.
const char *bagcert_status_text(int32_t status);

// Lengths of the memory that a map of this shape takes for this query. They are those of
// BAGCERT_SCORES_LEN and, under a masking condition, BAGCERT_MASKS_LEN, else BAGCERT_TABLE_LEN.
//
// # Safety
// Each pointer is NULL, which is an error, or leads to a whole object of its type; `query->patches`
// to `query->patches_len` of them. Nobody writes to these during the call.
BagcertStatus bagcert_memory_len(const struct BagcertShape *shape,
                                 const struct BagcertQuery *query,
                                 struct BagcertMemoryLen *needed);

// Checks shape, geometry and query once, when the program starts, as the calls for frames do each
// time: a query that passes fails later only for what is in a frame or for memory.
//
// # Safety
// As of bagcert_memory_len.
BagcertStatus bagcert_check(const struct BagcertShape *shape,
                            const struct BagcertGeometry *geometry,
                            const struct BagcertQuery *query);

// Most cells that a patch of this size reaches, at any place of the image.
//
// # Safety
// As of bagcert_memory_len.
BagcertStatus bagcert_max_affected_cells(const struct BagcertGeometry *geometry,
                                         const struct BagcertPatch *patch,
                                         uint32_t *cells);

// Certifies a frame from its logits: `classes * height * width` numbers, class slowest, then row,
// then column. A logit of 0 or more is a vote; NaN and infinity are an error.
//
// # Safety
// Each pointer is NULL, which is an error unless its length is 0 or it may be so, or leads to as many
// whole objects of its type as its length says, in memory that stays there during the call. Nobody
// else reads or writes `memory` and `output` and what they point to, or writes to the rest, during
// the call. Alignment and overlaps are checked.
BagcertStatus bagcert_certify_logits(const struct BagcertShape *shape,
                                     const struct BagcertGeometry *geometry,
                                     const struct BagcertQuery *query,
                                     const float *logits,
                                     size_t logits_len,
                                     const struct BagcertMemory *memory,
                                     const struct BagcertOutput *output);

// Certifies a frame from its scores: `classes * height * width` bytes of 0 or 1, in the order of
// logits. Any other byte is an error.
//
// # Safety
// As of bagcert_certify_logits.
BagcertStatus bagcert_certify_scores(const struct BagcertShape *shape,
                                     const struct BagcertGeometry *geometry,
                                     const struct BagcertQuery *query,
                                     const uint8_t *scores,
                                     size_t scores_len,
                                     const struct BagcertMemory *memory,
                                     const struct BagcertOutput *output);

// Certifies a frame from packed scores, eight classes in a byte: bit l of byte
// `k * height * width + y * width + x` is the score of class `8 * k + l`. There are
// `(classes + 7) / 8 * height * width` bytes (BAGCERT_PACKED_LEN). A bit of a class that does not
// exist is an error.
//
// # Safety
// As of bagcert_certify_logits.
BagcertStatus bagcert_certify_packed(const struct BagcertShape *shape,
                                     const struct BagcertGeometry *geometry,
                                     const struct BagcertQuery *query,
                                     const uint8_t *scores,
                                     size_t scores_len,
                                     const struct BagcertMemory *memory,
                                     const struct BagcertOutput *output);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* BAGCERT_CERTIFIER_H */
