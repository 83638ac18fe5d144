/* Where the certifier's example writes: host.c or cortex_m.c. */
#ifndef CONSOLE_H
#define CONSOLE_H

#include <stdint.h>

/* Writes a text. */
void say(const char *text);

/* Writes a number in decimal. */
void say_number(int64_t number);

#endif
