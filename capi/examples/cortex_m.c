/* Start-up and console of the certifier's example on a Cortex-M with an FPU, without a C library:
 * vector table, reset, and a console over semihosting. For cortex_m.ld. */

#include <stddef.h>
#include <stdint.h>

#include "console.h"

extern uint32_t data_start[], data_end[], data_load[], bss_start[], bss_end[], stack_top[];

int main(void);
void reset(void);

static int32_t semihosting(int32_t operation, const void *argument) {
  register int32_t r0 __asm__("r0") = operation;
  register const void *r1 __asm__("r1") = argument;
  __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}

enum { SYS_WRITE0 = 0x04, SYS_EXIT_EXTENDED = 0x20, APPLICATION_EXIT = 0x20026 };

void say(const char *text) {
  semihosting(SYS_WRITE0, text);
}

void say_number(int64_t number) {
  char text[21];
  char *at = text + sizeof text - 1;
  uint64_t left = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
  *at = 0;
  do {
    *--at = (char)('0' + left % 10);
    left /= 10;
  } while (left > 0);
  if (number < 0) {
    *--at = '-';
  }
  say(at);
}

static void leave(uint32_t status) {
  const uint32_t block[2] = {APPLICATION_EXIT, status};
  semihosting(SYS_EXIT_EXTENDED, block);
  for (;;) {
  }
}

/* Any exception is the end. */
static void fault(void) {
  leave(3);
}

void reset(void) {
  const uint32_t *from = data_load;
  /* Access to the FPU, before anything uses it. */
  *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20;
  __asm__ volatile("dsb\n\tisb" ::: "memory");
  for (uint32_t *to = data_start; to < data_end; to++) {
    *to = *from++;
  }
  for (volatile uint32_t *to = bss_start; to < bss_end; to++) {
    *to = 0;
  }
  leave((uint32_t)main());
}

__attribute__((section(".vectors"), used)) static const struct {
  uint32_t *stack;
  void (*handlers[15])(void);
} VECTORS = {
    stack_top,
    {reset, fault, fault, fault, fault, fault, 0, 0, 0, 0, fault, fault, 0, fault, fault},
};
