/* said.c - lists of exchanges, bounded. */
#include "engine/talk/said.h"
#include "base/map.h"
#include <stdlib.h>
#include <string.h>

#define PARTS_BYTES_MAX ((size_t)256 << 10) /* of a message that is more than text */

struct speaker {
    json_t *list;   /* the last of them */
    size_t dropped; /* so many were before */
    bool loaded;
};
struct said {
    struct map *speakers; /* name -> struct speaker */
};

struct said *
said_new(void)
{
    struct said *s = xcalloc(1, sizeof *s);
    s->speakers = map_new();
    return s;
}

void
said_free(struct said *s)
{
    void *value;
    if (!s)
        return;
    for (size_t i = 0; map_next(s->speakers, &i, NULL, &value);) {
        json_decref(((struct speaker *)value)->list);
        free(value);
    }
    map_free(s->speakers);
    free(s);
}

static struct speaker *
speaker_of(struct said *s, const char *who)
{
    struct speaker *p = map_get(s->speakers, who);
    if (!p) {
        p = xcalloc(1, sizeof *p);
        p->list = json_array();
        map_put(s->speakers, who, p);
    }
    return p;
}

/* In blocks: taking the first out of a list moves all others. */
void
said_add(struct said *s, const char *who, json_t *exchange)
{
    struct speaker *p = speaker_of(s, who);
    json_array_append_new(p->list, exchange);
    if (json_array_size(p->list) < 2 * (size_t)SAID_KEPT)
        return;
    json_t *kept = json_array();
    for (size_t i = SAID_KEPT; i < json_array_size(p->list); i++)
        json_array_append(kept, json_array_get(p->list, i));
    p->dropped += SAID_KEPT;
    json_decref(p->list);
    p->list = kept;
}

size_t
said_count(const struct said *s, const char *who)
{
    const struct speaker *p = map_get(s->speakers, who);
    return p ? p->dropped + json_array_size(p->list) : 0;
}

bool
said_is_loaded(const struct said *s, const char *who)
{
    const struct speaker *p = map_get(s->speakers, who);
    return p && p->loaded;
}

static size_t
text_bytes(const json_t *v)
{
    AUTO(freep) char *text = json_text(v);
    return strlen(text);
}

json_t *
exchanges_shown(const json_t *list, size_t n)
{
    json_t *shown = json_array();
    size_t first = n, bytes = 0;
    while (first > 0 && n - first < SAID_GIVEN) {
        bytes += text_bytes(json_array_get(list, first - 1));
        if (bytes > SAID_GIVEN_BYTES && first < n)
            break;
        first--;
    }
    for (size_t i = first; i < n; i++)
        json_array_append(shown, json_array_get(list, i));
    return shown;
}

json_t *
said_list(const struct said *s, const char *who, size_t n)
{
    const struct speaker *p = map_get(s->speakers, who);
    if (!p || n <= p->dropped)
        return json_array();
    return exchanges_shown(p->list, MIN(n - p->dropped, json_array_size(p->list)));
}

void
said_take(struct said *s, const json_t *body)
{
    const char *who = json_str(body, "who", "");
    json_t *exchange = json_object_get(body, "exchange"), *one;
    size_t i;
    if (exchange) {
        said_add(s, who, json_incref(exchange));
        return;
    }
    if (said_is_loaded(s, who))
        return;
    json_array_foreach (json_object_get(body, "loaded"), i, one)
        said_add(s, who, json_incref(one));
    speaker_of(s, who)->loaded = json_object_get(body, "loaded") != NULL;
}

/* ---- one exchange ---------------------------------------------------------- */

static void
text_bounded(const char *p, size_t n, struct str *to)
{
    const size_t kept = n > SAID_TEXT_MAX ? utf8_floor(p, SAID_TEXT_MAX) : n;
    str_addn(to, p, kept);
    if (kept < n)
        str_addf(to, " [%zu more bytes were left out]", n - kept);
}

/* Parts as one text. */
static void
parts_text(const json_t *parts, struct str *to)
{
    const json_t *part;
    size_t i;
    json_array_foreach (parts, i, part) {
        const json_t *text = json_object_get(part, "text");
        str_add(to, to->len ? "\n" : "");
        if (json_is_string(text))
            str_addn(to, json_string_value(text), json_string_length(text));
        else
            str_addf(to, "[%s was left out]", json_str(part, "type", "something"));
    }
}

static json_t *
value_bounded(json_t *v)
{
    AUTO(str_fini) struct str all = STR_INIT, cut = STR_INIT;
    if (json_is_string(v))
        str_addn(&all, json_string_value(v), json_string_length(v));
    else if (json_is_array(v) && text_bytes(v) > PARTS_BYTES_MAX)
        parts_text(v, &all);
    else
        return json_incref(v);
    text_bounded(str_c(&all), all.len, &cut);
    return json_string_lossy(str_c(&cut), cut.len);
}

json_t *
exchange_bounded(const json_t *exchange)
{
    const char *key;
    json_t *v;
    json_t *bounded = json_object();
    json_object_foreach ((json_t *)(uintptr_t)exchange, key, v)
        json_object_set_new(bounded, key, value_bounded(v));
    return bounded;
}
