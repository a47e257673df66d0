/* boundary_search.h - 410 to 420: the end of a sequence is looked for. */
#ifndef IOVKIT_HVMON_BOUNDARY_SEARCH_H
#define IOVKIT_HVMON_BOUNDARY_SEARCH_H

struct access;
struct virtual;

/* 410: from here on accesses are watched. */
void boundary_search_start(struct virtual *v);
/* Accesses go through, but no boundary is looked for any more. */
void boundary_search_stop(struct virtual *v);
/* 412: an access while the search goes on: it is let through. */
void boundary_search(struct virtual *v, const struct access *a);

#endif
