/* mem.h - the store in RAM: same answers as a database, nothing survives the process.
 *
 * struct store_mem plays the disk: it outlives the stores that are opened on it, so that a test can
 * crash an engine and resume. Closing a store is the death of its process: what it owned is reaped
 * by the next open. Several stores may be open on one at a time, each a process of its own. */
#ifndef STORE_MEM_MEM_H
#define STORE_MEM_MEM_H
#include "store/driver.h"

extern const struct driver_ops mem_ops;
struct mem;
/* news is called for every run signalled or cancelled through any store on m. */
struct mem *OWN mem_open(struct store_mem *m, const char *node, news_fn news, void *ctx,
                         int64_t *ret_clock);

#endif
