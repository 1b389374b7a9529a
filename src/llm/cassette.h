/* cassette.h - model calls recorded in a file and answered from it.
 *
 * One JSON line a call: {"key", "n", "request", "reply" | "error"}. The key is the SHA-256 of the
 * request in canonical form: provider, model, system prompt, messages, tools, schema and
 * parameters; not the key, the URL or the headers. The n-th identical request gets the n-th
 * recorded answer, so errors that were retried are replayed as well. A request that was not
 * recorded is an error that names where the nearest recorded one differs: nothing ever reaches the
 * network in a replay.
 *
 * The API key and the values of the profile's headers are blotted out of what is written. */
#ifndef LLM_CASSETTE_H
#define LLM_CASSETTE_H
#include "base/hash.h"
#include "llm/llm.h"

#define CASSETTE_BYTES_MAX (256 << 20)

struct cassette;
/* Both NULL: *ret is NULL. Recording starts an empty file. */
struct err *MUST cassette_open(const char *record, const char *replay,
                               struct cassette **OWN ret_cassette);
void cassette_close(struct cassette *OWN c); /* accepts NULL */

struct take { /* one request; the caller sets the first two */
    const struct llm_profile *profile;
    const struct llm_request *req;
    char key[SHA256_HEX]; /* these belong to cassette.c */
    unsigned n;
    json_t *request;
};
/* Replaying: *ret_done, and the recorded reply or error. Recording: fills *take. */
struct err *MUST cassette_find(struct cassette *c, struct take *take, struct llm_reply *ret,
                               bool *ret_done);
/* Writes down how the call ended and returns e; when that fails, that error instead. */
struct err *MUST cassette_keep(struct cassette *c, struct take *take, struct llm_reply *reply,
                               struct err *OWN e);

#endif
