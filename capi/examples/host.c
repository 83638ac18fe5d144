/* The console of the certifier's example on a host. */

#include <inttypes.h>
#include <stdio.h>

#include "console.h"

void say(const char *text) {
  fputs(text, stdout);
}

void say_number(int64_t number) {
  printf("%" PRId64, number);
}
