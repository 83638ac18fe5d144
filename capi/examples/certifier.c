/* The certifier in C: a program without an allocator, for hosts and for bare metal.
 *
 * It makes a few score maps of 10 x 32 x 32 by a rule, certifies each under every condition, and
 * writes a line for each verdict; double masking once more with a lead. What it writes goes through say() of console.h, which the host and
 * the board implement in their own ways. Exit status: 0 where every call did what it should.
 */

#include "bagcert_certifier.h"
#include "console.h"

enum { CLASSES = 10, HEIGHT = 32, WIDTH = 32, PATCHES = 2, FRAMES = 12, LEAD = 150 };

/* All the memory there is, sized when it is compiled. Masks need more than tables. */
static uint8_t scores[BAGCERT_SCORES_LEN(CLASSES, HEIGHT, WIDTH)];
static int16_t table[BAGCERT_MASKS_LEN(CLASSES, HEIGHT, WIDTH, PATCHES)];
static float logits[CLASSES * HEIGHT * WIDTH];
static uint8_t packed[BAGCERT_PACKED_LEN(CLASSES, HEIGHT, WIDTH)];

static const BagcertShape SHAPE = {CLASSES, HEIGHT, WIDTH};

/* Cell i reads the pixels i - 3 to i + 4 of 32, along both axes: receptive field 8. */
static const BagcertGeometry GEOMETRY = {{32, WIDTH, 1, -3, 4}, {32, HEIGHT, 1, -3, 4}};

static const BagcertPatch SIZES[PATCHES] = {{5, 5}, {3, 8}};

/* Numbers that are the same everywhere. */
static uint32_t state;

static uint32_t draw(void) {
  state = state * 1664525u + 1013904223u;
  return state >> 8;
}

/* What a network might say: the frame's class in most cells, a rival in some, others in few. */
static void fill(uint32_t frame) {
  size_t at = 0;
  state = frame;
  for (uint32_t c = 0; c < CLASSES; c++) {
    uint32_t share = 20;
    if (c == frame % CLASSES) {
      share = 180;
    } else if (c == (frame + 3) % CLASSES) {
      share = 15 + 15 * frame;
    }
    for (uint32_t cell = 0; cell < HEIGHT * WIDTH; cell++) {
      logits[at++] = (float)(draw() % 256 < share ? 1 : -1) * 0.5f;
    }
  }
}

static void report(uint32_t frame, const BagcertVerdict *verdict, uint32_t lead, uint32_t largest) {
  say_number(frame);
  say(" patch ");
  say_number(verdict->patch.width);
  say("x");
  say_number(verdict->patch.height);
  say(" condition ");
  say_number(verdict->condition);
  say(" lead ");
  say_number(lead);
  say(verdict->certified ? " certified " : " not-certified ");
  say_number((int64_t)verdict->predicted);
  say(" slack ");
  say_number(verdict->slack);
  say(" rival ");
  say_number((int64_t)verdict->rival);
  say(" worst ");
  say_number(verdict->worst.x);
  say(",");
  say_number(verdict->worst.y);
  if (verdict->has_second) {
    say(" second ");
    say_number(verdict->second.first_x);
    say("-");
    say_number(verdict->second.last_x);
    say(",");
    say_number(verdict->second.first_y);
    say("-");
    say_number(verdict->second.last_y);
  }
  say(" square ");
  say_number(largest);
  say("\n");
}

static bool same(const BagcertVerdict *a, const BagcertVerdict *b) {
  return a->predicted == b->predicted && a->certified == b->certified && a->slack == b->slack
         && a->rival == b->rival && a->worst.x == b->worst.x && a->worst.y == b->worst.y;
}

/* One frame under one condition; once more from its packed scores, which must say the same. */
static BagcertStatus certify(uint32_t frame, const BagcertQuery *query) {
  BagcertVerdict verdicts[PATCHES], again[PATCHES];
  uint32_t votes[CLASSES];
  uint32_t largest = 0;
  BagcertDetail detail;
  const BagcertMemory memory = {scores, sizeof scores, table, sizeof table / sizeof *table};
  const BagcertOutput output = {verdicts, PATCHES, votes, CLASSES, &largest, &detail};
  const BagcertOutput second = {again, PATCHES, NULL, 0, NULL, NULL};
  BagcertStatus status = bagcert_certify_logits(&SHAPE, &GEOMETRY, query, logits,
                                                sizeof logits / sizeof *logits, &memory, &output);
  if (status != BAGCERT_STATUS_OK) {
    say_number(frame);
    say(" no verdict: ");
    say(detail.argument);
    say(": ");
    say(bagcert_status_text(status));
    say("\n");
    return status;
  }
  for (size_t i = 0; i < PATCHES; i++) {
    report(frame, &verdicts[i], query->lead, largest);
  }
  /* The memory now begins with the packed scores: another machine could certify them. */
  for (size_t i = 0; i < sizeof packed; i++) {
    packed[i] = scores[i];
  }
  status = bagcert_certify_packed(&SHAPE, &GEOMETRY, query, packed, sizeof packed, &memory, &second);
  for (size_t i = 0; i < PATCHES && status == BAGCERT_STATUS_OK; i++) {
    if (!same(&verdicts[i], &again[i])) {
      say("the packed scores got another verdict\n");
      status = BAGCERT_STATUS_INTERNAL;
    }
  }
  return status;
}

int main(void) {
  if (bagcert_certifier_abi() != BAGCERT_CERTIFIER_ABI) {
    say("header and library do not belong together\n");
    return 1;
  }
  static const BagcertQuery QUERIES[] = {
      {SIZES, PATCHES, BAGCERT_CONDITION_WORST_CASE31, 1, 0},
      {SIZES, PATCHES, BAGCERT_CONDITION_SUM_WINDOW32, 1, 0},
      {SIZES, PATCHES, BAGCERT_CONDITION_SUM_GLOBAL33, 1, 0},
      {SIZES, PATCHES, BAGCERT_CONDITION_MASK, 1, 0},
      {SIZES, PATCHES, BAGCERT_CONDITION_DOUBLE_MASK, 1, 0},
      {SIZES, PATCHES, BAGCERT_CONDITION_DOUBLE_MASK, 1, LEAD},
  };
  for (size_t i = 0; i < sizeof QUERIES / sizeof *QUERIES; i++) {
    const BagcertQuery query = QUERIES[i];
    BagcertStatus status = bagcert_check(&SHAPE, &GEOMETRY, &query);
    for (uint32_t frame = 0; frame < FRAMES && status == BAGCERT_STATUS_OK; frame++) {
      fill(frame);
      status = certify(frame, &query);
    }
    if (status != BAGCERT_STATUS_OK) {
      say(bagcert_status_text(status));
      say("\n");
      return 1;
    }
    /* A logit that is not a number: no verdict, whatever the others say. */
    fill(0);
    logits[2345] = 0.0f;
    logits[2345] /= logits[2345];
    if (certify(FRAMES, &query) != BAGCERT_STATUS_NON_FINITE) {
      return 1;
    }
  }
  return 0;
}
