/* The runtime in C: certifies frames with a model.
 *
 *   frames MODEL.onnx KEY.pem|- CONDITION PATCH_WIDTH PATCH_HEIGHT FRAME.ppm...
 *
 * KEY.pem is the public key that must have signed the model's manifest; "-" asks for none. CONDITION
 * is a BagcertCondition. Frames are binary PPM files (P6) of 8 bits. A line for each frame goes to
 * the standard output. Exit status: 0 where every frame got a verdict.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bagcert.h"

enum { MAX_CLASSES = 1000, MAX_NAME = 64 };

/* The bytes of a PPM file of this size, three a pixel; NULL where it is none. */
static uint8_t *read_ppm(const char *path, const BagcertModelInfo *info) {
  unsigned long width = 0, height = 0, most = 0;
  size_t len = info->image_len;
  uint8_t *pixels = NULL;
  FILE *file = fopen(path, "rb");
  if (file == NULL) {
    return NULL;
  }
  if (fscanf(file, "P6 %lu %lu %lu", &width, &height, &most) == 3 && fgetc(file) != EOF
      && width == info->width && height == info->height && most == 255) {
    pixels = malloc(len);
    if (pixels != NULL && fread(pixels, 1, len, file) != len) {
      free(pixels);
      pixels = NULL;
    }
  }
  fclose(file);
  return pixels;
}

/* The same as planes of values in [0, 1]. */
static float *to_planes(const uint8_t *pixels, const BagcertModelInfo *info) {
  size_t plane = info->height * info->width;
  float *values = malloc(info->image_len * sizeof *values);
  for (size_t i = 0; values != NULL && i < plane; i++) {
    for (size_t channel = 0; channel < info->channels; channel++) {
      values[channel * plane + i] = (float)pixels[i * info->channels + channel] / 255.0f;
    }
  }
  return values;
}

/* One frame, in both forms, which must be answered alike. */
static int certify(BagcertModel model, const BagcertModelInfo *info, const BagcertQuery *query,
                   const char *path) {
  static uint32_t votes[MAX_CLASSES];
  BagcertVerdict verdict, again;
  BagcertTimes times;
  uint32_t largest = 0;
  char name[MAX_NAME];
  const BagcertOutput output = {&verdict, 1, votes, info->shape.classes, &largest, NULL};
  const BagcertOutput second = {&again, 1, NULL, 0, NULL, NULL};
  int failed = 1;
  uint8_t *pixels = read_ppm(path, info);
  float *values = pixels == NULL ? NULL : to_planes(pixels, info);
  if (values == NULL) {
    fprintf(stderr, "%s: no PPM file of the model's size\n", path);
  } else if (bagcert_model_certify_rgb8(model, query, pixels, info->image_len, &output, &times)
                 != BAGCERT_MODEL_STATUS_OK
             || bagcert_model_certify(model, query, values, info->image_len, &second, NULL)
                    != BAGCERT_MODEL_STATUS_OK
             || bagcert_model_class_name(model, verdict.predicted, name, sizeof name)
                    != BAGCERT_MODEL_STATUS_OK) {
    fprintf(stderr, "%s: no verdict: %s\n", path, bagcert_last_error());
  } else if (verdict.predicted != again.predicted || verdict.certified != again.certified
             || verdict.slack != again.slack) {
    fprintf(stderr, "%s: bytes and values got different verdicts\n", path);
  } else {
    printf("%s %zu %s %s slack %" PRId64 " rival %zu worst %" PRIu32 ",%" PRIu32 " square %" PRIu32
           " votes",
           path, verdict.predicted, name, verdict.certified ? "certified" : "not-certified",
           verdict.slack, verdict.rival, verdict.worst.x, verdict.worst.y, largest);
    for (size_t i = 0; i < info->shape.classes; i++) {
      printf(" %" PRIu32, votes[i]);
    }
    printf("\n");
    fprintf(stderr, "%s: forward pass %.3f ms, certificate %.3f ms\n", path,
            (double)times.forward / 1e6, (double)times.certificate / 1e6);
    failed = 0;
  }
  free(values);
  free(pixels);
  return failed;
}

int main(int argc, char **argv) {
  BagcertModel model = 0;
  BagcertModelInfo info;
  BagcertPatch patch;
  int failed = 0;
  if (argc < 6) {
    fprintf(stderr,
            "usage: frames MODEL.onnx KEY.pem|- CONDITION[+LEAD] WIDTH HEIGHT FRAME.ppm...\n");
    return 2;
  }
  if (bagcert_abi() != BAGCERT_ABI || bagcert_certifier_abi() != BAGCERT_CERTIFIER_ABI) {
    fprintf(stderr, "header and library do not belong together\n");
    return 2;
  }
  const char *key = strcmp(argv[2], "-") == 0 ? NULL : argv[2];
  if (bagcert_model_open(argv[1], key, &model) != BAGCERT_MODEL_STATUS_OK
      || bagcert_model_describe(model, &info) != BAGCERT_MODEL_STATUS_OK
      || info.shape.classes > MAX_CLASSES) {
    fprintf(stderr, "%s: %s\n", argv[1], bagcert_last_error());
    return 3;
  }
  patch.width = (uint32_t)strtoul(argv[4], NULL, 10);
  patch.height = (uint32_t)strtoul(argv[5], NULL, 10);
  char *rest;
  const uint32_t condition = (uint32_t)strtoul(argv[3], &rest, 10);
  const uint32_t lead = *rest == '+' ? (uint32_t)strtoul(rest + 1, NULL, 10) : 0;
  const BagcertQuery query = {&patch, 1, condition, 1, lead};
  for (int i = 6; i < argc; i++) {
    failed |= certify(model, &info, &query, argv[i]);
  }
  if (bagcert_model_close(model) != BAGCERT_MODEL_STATUS_OK) {
    failed = 1;
  }
  return failed ? 4 : 0;
}
