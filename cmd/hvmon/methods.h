/* methods.h - hvmon's control methods and tables. */
#ifndef IOVKIT_HVMON_METHODS_H
#define IOVKIT_HVMON_METHODS_H

struct hvmon;

void methods_add(struct hvmon *hv);

#endif
