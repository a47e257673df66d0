/* vf_registers.h - the register accesses of each step of a VF's setup. */
#ifndef IOVKIT_GUESTD_VF_REGISTERS_H
#define IOVKIT_GUESTD_VF_REGISTERS_H

#include "cmd/guestd/vf_driver.h"

/* Send the step's requests; vf_setup_run() is called when all are answered
 * (never from inside). */
void vf_issue_config(struct vf *vf);
void vf_issue_command(struct vf *vf);
void vf_issue_identify(struct vf *vf);
void vf_issue_connect(struct vf *vf);
void vf_issue_program(struct vf *vf);
void vf_issue_msix(struct vf *vf);
void vf_issue_enable(struct vf *vf);
void vf_issue_ask(struct vf *vf);
void vf_issue_answer(struct vf *vf);

/* A register of page 0 as the last step read it. */
uint32_t vf_register(const struct vf *vf, uint32_t offset);
uint64_t vf_register64(const struct vf *vf, uint32_t offset);
/* By what identify read: the queues run as we programmed them. */
bool vf_is_running(const struct vf *vf);
/* Interrupt eventfds of the VF; -errno. */
int vf_irqs_init(struct vf *vf) __attribute__((warn_unused_result));
void vf_irqs_fini(struct vf *vf);

#endif
