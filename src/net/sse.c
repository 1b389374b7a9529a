/* sse.c - the event stream parser: lines first, then fields, then dispatch. */
#include "net/sse.h"
#include <assert.h>
#include <string.h>

#define RETRY_MS_MAX ((int64_t)24 * 3600 * 1000) /* a longer reconnection time is cut to a day */

void
sse_fini(struct sse *s)
{
    str_fini(&s->in);
    str_fini(&s->data);
    str_fini(&s->type);
    str_fini(&s->id);
    str_fini(&s->id_next);
}

void
sse_feed(struct sse *s, const void *bytes, size_t n)
{
    if (s->broken || !n)
        return;
    if (s->at) { /* what is left is the part of one line, so this copies no byte twice */
        str_cut(&s->in, s->at);
        s->seen -= s->at;
        s->at = 0;
    }
    str_addn(&s->in, bytes, n);
}

/* Steps over the BOM. False: more bytes are needed to tell whether it is one. */
static bool
bom_skip(struct sse *s)
{
    static const char bom[3] = {'\xef', '\xbb', '\xbf'};
    size_t n = MIN(s->in.len, sizeof bom);
    if (n && memcmp(s->in.p, bom, n) == 0) {
        if (n < sizeof bom)
            return false;
        s->at = s->seen = n;
    }
    s->begun = n > 0;
    return s->begun;
}

static const char *
line_end_find(const char *p, size_t n)
{
    const char *lf = memchr(p, '\n', n);
    const char *cr = memchr(p, '\r', lf ? (size_t)(lf - p) : n);
    return cr ? cr : lf;
}

/* The next whole line, without its end. False: there is none yet. */
static bool
line_take(struct sse *s, const char **ret_line, size_t *ret_len)
{
    if (s->skip_lf && s->at < s->in.len) {
        s->skip_lf = false;
        if (s->in.p[s->at] == '\n')
            s->at++;
        s->seen = s->at;
    }
    if (s->seen >= s->in.len)
        return false;
    const char *end = line_end_find(s->in.p + s->seen, s->in.len - s->seen);
    if (!end) {
        s->seen = s->in.len;
        return false;
    }
    *ret_line = s->in.p + s->at;
    *ret_len = (size_t)(end - *ret_line);
    s->skip_lf = *end == '\r';
    s->at = s->seen = (size_t)(end - s->in.p) + 1;
    return true;
}

static bool
field_is(const char *name, size_t n, const char *want)
{
    return n == strlen(want) && memcmp(name, want, n) == 0;
}

static void
retry_set(struct sse *s, const char *value, size_t n)
{
    int64_t ms = 0;
    for (size_t i = 0; i < n; i++) {
        if (value[i] < '0' || value[i] > '9')
            return;
        ms = MIN(ms * 10 + (value[i] - '0'), RETRY_MS_MAX);
    }
    if (n)
        s->retry_ms = ms;
}

static struct err *
field_apply(struct sse *s, const char *line, size_t n)
{
    const char *colon = memchr(line, ':', n);
    size_t name_len = colon ? (size_t)(colon - line) : n;
    const char *value = colon ? colon + 1 : line + n;
    if (colon && value < line + n && *value == ' ')
        value++;
    size_t len = (size_t)(line + n - value);

    if (field_is(line, name_len, "data")) {
        if (len + 1 > s->event_max - MIN(s->data.len, s->event_max))
            return FAIL(ERR_LIMIT, "an event of the stream is longer than %zu bytes", s->event_max);
        str_addn(&s->data, value, len);
        str_addc(&s->data, '\n');
    } else if (field_is(line, name_len, "event")) {
        str_reset(&s->type);
        str_addn(&s->type, value, len);
    } else if (field_is(line, name_len, "id")) {
        if (!memchr(value, '\0', len)) {
            str_reset(&s->id_next);
            str_addn(&s->id_next, value, len);
        }
    } else if (field_is(line, name_len, "retry")) {
        retry_set(s, value, len);
    }
    return NULL;
}

/* An empty line: true when it completes an event. */
static bool
event_dispatch(struct sse *s, struct sse_event *ret_event)
{
    str_reset(&s->id);
    str_addn(&s->id, str_c(&s->id_next), s->id_next.len);
    if (!s->data.len) {
        str_reset(&s->type);
        return false;
    }
    assert(s->data.p[s->data.len - 1] == '\n');
    s->data.p[--s->data.len] = '\0';
    s->dispatched = true;
    *ret_event = (struct sse_event){
        .type = s->type.len ? str_c(&s->type) : "message",
        .data = str_c(&s->data),
        .data_len = s->data.len,
        .id = str_c(&s->id),
    };
    return true;
}

static struct err *
too_long(struct sse *s)
{
    s->broken = true;
    return FAIL(ERR_LIMIT, "a line of the event stream is longer than %zu bytes", s->event_max);
}

struct err *
sse_next(struct sse *s, struct sse_event *ret_event, bool *ret_got)
{
    const char *line;
    size_t n;
    *ret_got = false;
    if (s->broken)
        return FAIL(ERR_LIMIT, "the event stream went over its limit before");
    if (s->dispatched) {
        s->dispatched = false;
        str_reset(&s->data);
        str_reset(&s->type);
    }
    if (!s->begun && !bom_skip(s))
        return NULL;
    while (line_take(s, &line, &n)) {
        if (n > s->event_max)
            return too_long(s);
        if (n == 0) {
            if (event_dispatch(s, ret_event)) {
                *ret_got = true;
                return NULL;
            }
        } else if (line[0] != ':') {
            struct err *e = field_apply(s, line, n);
            if (e) {
                s->broken = true;
                return e;
            }
        }
    }
    return s->in.len - s->at > s->event_max ? too_long(s) : NULL;
}

int64_t
sse_retry_ms(const struct sse *s)
{
    return s->retry_ms;
}

static void
field_write(struct str *to, const char *name, const char *value)
{
    str_add(to, name);
    str_add(to, ": ");
    for (const char *p = value; *p; p++) {
        if (*p != '\r' && *p != '\n')
            str_addc(to, *p);
    }
    str_addc(to, '\n');
}

void
sse_write(struct str *to, const char *type, const char *id, const char *data)
{
    if (type && *type)
        field_write(to, "event", type);
    if (id)
        field_write(to, "id", id);
    for (const char *p = data;;) {
        size_t n = strcspn(p, "\r\n");
        str_add(to, "data: ");
        str_addn(to, p, n);
        str_addc(to, '\n');
        p += n;
        if (!*p)
            break;
        p += p[0] == '\r' && p[1] == '\n' ? 2 : 1;
    }
    str_addc(to, '\n');
}
