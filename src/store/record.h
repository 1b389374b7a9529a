/* record.h - the checksum chain of a journal, and rows as pages of bytes.
 *
 * crc(n) = crc32c continued from crc(n-1) over run id, seq, kind, path and body, so that a changed,
 * missing, swapped or foreign record shows. Reading results travel as a page: rows one after the
 * other, the same bytes from every driver and on the control socket. */
#ifndef STORE_RECORD_H
#define STORE_RECORD_H
#include "store/bytes.h"
#include "store/store.h"

#define RECORDS_OF_A_RUN (((int64_t)1 << 24) - 1)
#define KV_KEY_MAX       512
#define KV_BODY_MAX      ((size_t)1 << 20)
#define STORE_NAME_MAX   1024 /* names, keys, dedupe keys, hashes */

uint32_t record_crc(uint32_t before, const char *run_id, int64_t seq, const struct store_record *r);

void record_put(struct str *page, const struct store_record *r);
void record_get(struct bytes_in *in, struct store_record *ret_r); /* borrowed from the page */
void run_put(struct str *page, const struct store_run *r);
void run_get(struct bytes_in *in, struct store_run *ret_r); /* store_run_fini, also when bad */
void lease_put(struct str *page, const struct store_lease *l);
void lease_get(struct bytes_in *in, struct store_lease *ret_l);
void signal_put(struct str *page, const struct store_signal *g);
void signal_get(struct bytes_in *in, struct store_signal *ret_g); /* malloc'd, also when bad */
/* body NULL: the row is damaged. */
void kv_put(struct str *page, const char *key, const void *body, size_t n);

/* Copies an id; false when it is longer than an id can be. NULL gives "". */
bool id_copy(char to[RUN_ID_LEN], const char *from);

#endif
