/* said.h - what was said to somebody before, and what he answered: lists of exchanges by name.
 *
 * An exchange is an object that its owner makes ({user, assistant} of an agent). The lists only
 * grow at the end, and the n-th stays the n-th: so a number says what somebody could see. Of a long
 * list only the last SAID_KEPT are held. Pure. */
#ifndef ENGINE_SAID_H
#define ENGINE_SAID_H
#include "base/json.h"

#define SAID_KEPT        500                 /* held of a list */
#define SAID_GIVEN       50                  /* of them shown at once */
#define SAID_GIVEN_BYTES ((size_t)128 << 10) /* of their text; the last one is always shown */
#define SAID_TEXT_MAX    ((size_t)64 << 10)  /* of one text; more is cut off, and said so */

struct said;
struct said *OWN said_new(void);
void said_free(struct said *OWN s); /* accepts NULL */
void said_add(struct said *s, const char *who, json_t *OWN exchange);
size_t said_count(const struct said *s, const char *who);
/* What a conversation brought along has been added, perhaps nothing. */
bool said_is_loaded(const struct said *s, const char *who);
/* The body of a record: {who, loaded} or {who, exchange}. */
void said_take(struct said *s, const json_t *body);
/* Of the first n those that are shown, in order. */
json_t *OWN said_list(const struct said *s, const char *who, size_t n);
json_t *OWN exchanges_shown(const json_t *list, size_t n);
/* Longer texts are cut; pictures and the like are named instead of kept when they are large. */
json_t *OWN exchange_bounded(const json_t *exchange);

#endif
