/* hash.h - the hashes used here, one for each purpose.
 *
 * sha256: identity of definitions and blobs. hmac: keys that others must not guess.
 * crc32c: damage on disk (Castagnoli, RFC 3720 appendix B.4). hash_name: hash tables. */
#ifndef BASE_HASH_H
#define BASE_HASH_H
#include "base/lang.h"

#define SHA256_HEX 65 /* 64 digits and the NUL */

void sha256_hex(const void *bytes, size_t n, char ret_hex[SHA256_HEX]);
void hmac_sha256_hex(const void *key, size_t key_len, const void *bytes, size_t n,
                     char ret_hex[SHA256_HEX]);
uint32_t crc32c(uint32_t crc, const void *bytes, size_t n); /* start with 0 */
uint64_t hash_name(const char *s);                          /* keyed per process; not for storage */
uint64_t hash_fnv(const void *bytes, size_t n);             /* stable; for sharding and seeds */
void hex_encode(const void *bytes, size_t n, char *ret_hex); /* writes 2n digits and a NUL */

/* The number that four hex digits make (JSON's \u); -1 when there are fewer, or another character.
 */
int hex4_decode(const char *text, size_t n);

/* RFC 4648 base64 with padding. malloc'd, NUL-terminated. */
char *OWN base64_encode(const void *bytes, size_t n);
/* NULL when the text is not base64; white space is not accepted. */
unsigned char *OWN base64_decode(const char *text, size_t n, size_t *ret_len);
#endif
