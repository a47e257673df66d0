/* children.h - children that ended, stopped or went on. */
#ifndef BMC_CHILDREN_H
#define BMC_CHILDREN_H

/* SIGCHLD came, once or several times; arg is the struct bmc. */
void children_changed(void *arg);

#endif
