/* race.h - what the programs under ThreadSanitizer have in common. */
#ifndef IOVKIT_RACE_H
#define IOVKIT_RACE_H

#include <stdbool.h>
#include <stdint.h>

/* Say what is wrong, and end the program. */
void race_fail(const char *what) __attribute__((noreturn));

/* Of struct hca_ops, where they have nothing to do: every partition reaches its
 * memory, work is looked for anyway, and nothing is to be told. */
bool race_may_dma(void *arg, unsigned partition);
void race_work(void *arg);
void race_told(void *arg, unsigned partition, uint32_t handle,
	       const char *what);

#endif
