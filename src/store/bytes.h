/* bytes.h - numbers and texts in a row of bytes, for the control socket and for pages of results.
 *
 * Little endian, fixed widths. A blob is its length (u32), its bytes and a NUL, so that a text can
 * be used where it lies. Reading never goes past the end: the first thing that does not fit sets
 * `bad`, and everything read afterwards is zero, NULL or empty. */
#ifndef STORE_BYTES_H
#define STORE_BYTES_H
#include "base/str.h"

void put_u8(struct str *to, unsigned v);
void put_u32(struct str *to, uint32_t v);
void put_i64(struct str *to, int64_t v);
void put_blob(struct str *to, const void *bytes, size_t n); /* NULL stays NULL */
void put_text(struct str *to, const char *text);            /* NULL stays NULL */

struct bytes_in {
    const unsigned char *at, *end;
    bool bad;
};
struct bytes_in bytes_in(const void *bytes, size_t n);
unsigned get_u8(struct bytes_in *in);
uint32_t get_u32(struct bytes_in *in);
int64_t get_i64(struct bytes_in *in);
const void *get_blob(struct bytes_in *in, size_t *ret_n); /* borrowed from the input */
const char *get_text(struct bytes_in *in);                /* no NUL inside; borrowed; may be NULL */
/* A count of things that take at least `each` bytes; 0 and bad when they cannot all be there. */
size_t get_count(struct bytes_in *in, size_t each);
bool bytes_in_done(const struct bytes_in *in); /* nothing is left and nothing was bad */

#endif
