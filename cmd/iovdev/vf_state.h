/* vf_state.h - the PF's window on what a reset takes from a VF. */
#ifndef IOVDEV_VF_STATE_H
#define IOVDEV_VF_STATE_H

#include <stdbool.h>
#include <stdint.h>

struct function;

/* Whether this offset of the function's BAR 0 lies in the window. */
bool vf_state_covers(const struct function *f, uint64_t offset);
void vf_states_read(const struct function *pf, uint64_t offset, uint8_t *data,
		    uint32_t count);
/* False: not whole blocks; nothing was done. */
bool vf_states_write(struct function *pf, uint64_t offset, const uint8_t *data,
		     uint32_t count);

/* NIC_PF_MASTERS, the word whose bit 0 is VF first + 1. */
uint32_t vf_masters_read(const struct function *pf, unsigned first);
void vf_masters_write(struct function *pf, unsigned first, uint32_t masters);

#endif
