/* roster.c - what the agents of this process are doing. */
#include "engine/roster.h"
#include "base/map.h"
#include "engine/runcore.h"
#include <stdlib.h>
#include <string.h>

#define AGENTS_MAX 10000 /* names come from documents */
#define ERROR_MAX  500   /* bytes of a failure's text */

struct member {
    const char *status; /* as it was told last */
    unsigned running;
    int64_t done, failed, at_ms; /* at: of the last change */
    bool broken, offline;        /* the last task failed; because it cannot be reached */
    char *run, *task, *error;
};
struct roster {
    struct map *members; /* agent -> struct member */
};

struct roster *
roster_new(void)
{
    struct roster *r = xcalloc(1, sizeof *r);
    r->members = map_new();
    return r;
}

void
roster_free(struct roster *r)
{
    void *value;
    if (!r)
        return;
    for (size_t i = 0; map_next(r->members, &i, NULL, &value);) {
        struct member *m = value;
        free(m->run);
        free(m->task);
        free(m->error);
        free(m);
    }
    map_free(r->members);
    free(r);
}

static struct member *
member_of(struct roster *r, const char *agent)
{
    struct member *m = map_get(r->members, agent);
    if (m || map_len(r->members) >= AGENTS_MAX)
        return m;
    m = xcalloc(1, sizeof *m);
    m->status = "idle";
    map_put(r->members, agent, m);
    return m;
}

static const char *
status_of(const struct member *m)
{
    return m->running ? "busy" : m->offline ? "offline" : m->broken ? "error" : "idle";
}

static json_t *
member_json(const char *agent, const struct member *m)
{
    return json_pack("{ss ss si sI sI ss* ss* ss* sI}", "agent", agent, "status", status_of(m),
                     "running", (int)m->running, "done", m->done, "failed", m->failed, "run",
                     m->run, "task", m->task, "error", m->error, "at", m->at_ms);
}

static void
changed(struct run *r, const char *agent, struct member *m)
{
    const char *status = status_of(m);
    m->at_ms = rt_wall_ms();
    if (strcmp(status, m->status) == 0)
        return;
    m->status = status;
    if (!r->engine->subscribers.len)
        return;
    json_t *detail = member_json(agent, m);
    run_publish_now(
        r, (struct run_event){.name = EVENT_AGENT_STATUS, .path = m->task, .detail = detail});
    json_decref(detail);
}

static void
text_set(char **at, const char *text)
{
    free(*at);
    *at = xstrdup(text);
}

void
roster_begin(struct run *r, const struct roster_work *w)
{
    struct member *m = member_of(r->engine->roster, w->agent);
    if (!m)
        return;
    m->running++;
    text_set(&m->run, r->lease.id);
    text_set(&m->task, w->path);
    changed(r, w->agent, m);
}

/* Being cancelled or put away says nothing about an agent. */
void
roster_end(struct run *r, const struct roster_work *w, const struct err *e)
{
    struct member *m = map_get(r->engine->roster->members, w->agent);
    if (!m)
        return;
    m->running--;
    if (!e || (err_kind(e) != ERR_CANCELLED && err_kind(e) != ERR_PARKED)) {
        m->done += !e;
        m->failed += e != NULL;
        m->broken = e != NULL;
        m->offline = e && w->refused;
        freep(&m->error);
    }
    if (m->broken && !m->error && e) {
        AUTO(freep) char *text = err_text(e);
        const size_t n = strlen(text);
        AUTO(str_fini) struct str cut = STR_INIT;
        str_add_utf8(&cut, text, n > ERROR_MAX ? utf8_floor(text, ERROR_MAX) : n);
        m->error = str_steal(&cut);
    }
    changed(r, w->agent, m);
}

static int
by_name(const void *a, const void *b)
{
    const json_t *const *x = a, *const *y = b;
    return strcmp(json_str(*x, "agent", ""), json_str(*y, "agent", ""));
}

json_t *
roster_list(const struct roster *r)
{
    json_t *list = json_array();
    const char *agent;
    void *value;
    size_t n = 0;
    json_t **rows = xcalloc(map_len(r->members), sizeof(json_t *));
    for (size_t i = 0; map_next(r->members, &i, &agent, &value);)
        rows[n++] = member_json(agent, value);
    if (n)
        qsort(rows, n, sizeof(json_t *), by_name);
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, rows[i]);
    free(rows);
    return list;
}

json_t *
engine_roster(const struct engine *e)
{
    return roster_list(e->roster);
}
