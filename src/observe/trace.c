/* trace.c - a run as it went, made from its events. */
#include "observe/trace.h"
#include "base/map.h"
#include <string.h>

#define PLANNED_STEPS_MAX 1000

struct trace *
trace_new(unsigned apart)
{
    struct trace *t = xcalloc(1, sizeof *t);
    t->apart = apart;
    t->by_path = map_new();
    t->status = RUN_RUNNING;
    t->root.name = xstrdup("run");
    t->root.path = xstrdup("");
    t->root.what = TRACE_NODE;
    t->root.status = NODE_RUNNING;
    t->root.n = 1;
    return t;
}

static void
place_fini(struct trace_place *p)
{
    vec_fini(&p->below);
    free(p->name);
    free(p->path);
    free(p->type);
    free(p->who);
    free(p->error);
    json_decref(p->steps);
}

void
trace_free(struct trace *t)
{
    void *value;
    if (!t)
        return;
    for (size_t i = 0; map_next(t->by_path, &i, NULL, &value);) {
        place_fini(value);
        free(value);
    }
    place_fini(&t->root);
    map_free(t->by_path);
    free(t->run);
    free(t);
}

void
trace_freep(struct trace **t)
{
    trace_free(*t);
}

/* ---- places ---------------------------------------------------------------- */

/* Where the index ends: "each[12]|", "ask[3]|.wait". */
static size_t
index_end(const char *name)
{
    static const char *const parts[] = {".say", ".wait"};
    for (size_t i = 0; i < COUNT(parts); i++) {
        if (str_ends(name, parts[i]))
            return strlen(name) - strlen(parts[i]);
    }
    return strlen(name);
}

size_t
trace_base_len(const char *name)
{
    size_t n = index_end(name), at = n;
    if (n < 3 || name[n - 1] != ']')
        return strlen(name);
    for (at = n - 1; at > 0 && name[at - 1] >= '0' && name[at - 1] <= '9'; at--)
        ;
    if (at == n - 1 && name[at - 1] == '*')
        at--;
    return at > 1 && at < n - 1 && name[at - 1] == '[' ? at - 1 : strlen(name);
}

bool
trace_is_folded(const struct trace_place *p)
{
    const size_t n = index_end(p->name);
    return n >= 3 && strncmp(p->name + n - 3, "[*]", 3) == 0;
}

/* The last part of the path, as the tree has it. */
static void
name_fold(const struct trace *t, const char *name, struct str *to)
{
    size_t base = trace_base_len(name);
    if (name[base] == '[' && strtoul(name + base + 1, NULL, 10) >= t->apart) {
        str_addn(to, name, base);
        str_addf(to, "[*]%s", name + index_end(name));
    } else {
        str_add(to, name);
    }
}

static struct trace_place *
place_below(struct trace *t, struct trace_place *up, const char *name)
{
    AUTO(str_fini) struct str path = STR_INIT;
    if (up != &t->root)
        str_addf(&path, "%s/", up->path);
    const size_t at = path.len;
    name_fold(t, name, &path);
    struct trace_place *p = map_get(t->by_path, str_c(&path));
    if (p || t->places >= TRACE_PLACES_MAX)
        return p ? p : up;
    p = xcalloc(1, sizeof *p);
    p->name = xstrdup(str_c(&path) + at);
    p->path = xstrdup(str_c(&path));
    p->up = up;
    map_put(t->by_path, p->path, p);
    vec_push(&up->below, p);
    t->places++;
    return p;
}

static struct trace_place *
place_at(struct trace *t, const char *path)
{
    AUTO(freep) char *parts = xstrdup(path);
    struct trace_place *p = &t->root;
    unsigned depth = 0;
    for (char *part = parts, *slash; *part && depth < TRACE_DEPTH_MAX; part = slash + 1, depth++) {
        slash = strchr(part, '/');
        if (slash)
            *slash = '\0';
        p = place_below(t, p, part);
        if (!slash)
            break;
    }
    return p;
}

/* ---- events ---------------------------------------------------------------- */

static void
text_set(char **at, const char *text)
{
    if (!text)
        return;
    free(*at);
    *at = xstrdup(text);
}

static void
time_seen(struct trace *t, struct trace_place *p, int64_t from_ms, int64_t to_ms)
{
    do {
        if (from_ms > 0 && (!p->from_ms || from_ms < p->from_ms))
            p->from_ms = from_ms;
        p->to_ms = MAX(p->to_ms, to_ms);
        p = p->up;
    } while (p && p->what == TRACE_PART);
    t->to_ms = MAX(t->to_ms, MAX(from_ms, to_ms));
}

static void
begun(struct trace *t, struct trace_place *p, enum trace_what what, const struct run_event *ev)
{
    p->what = what;
    p->taken = false;
    p->n++;
    p->status = NODE_RUNNING;
    text_set(&p->type, json_str(ev->detail, "type", NULL));
    text_set(&p->who, json_str(ev->detail, what == TRACE_NODE ? "agent" : "target", NULL));
    time_seen(t, p, ev->wall_ms, 0);
}

static size_t
ends(const struct trace_place *p)
{
    size_t sum = 0;
    for (size_t i = 0; i < COUNT(p->ended); i++)
        sum += p->ended[i];
    return sum;
}

static void
ended(struct trace_place *p, enum node_status status, const json_t *detail)
{
    struct usage u;
    p->taken = false;
    p->ended[status]++;
    p->n = MAX(p->n, ends(p));
    p->status = ends(p) < p->n ? NODE_RUNNING : status;
    p->retries += (unsigned)MAX(json_int(detail, "attempts", 1) - 1, 0);
    usage_from_json(json_object_get(detail, "usage"), &u);
    usage_add(&p->usage, &u);
}

/* How a node ended; false: the event says something else of it. */
static bool
end_of(const char *event, enum node_status *ret_status)
{
    return str_starts(event, "node.") && node_status_parse(event + 5, ret_status) &&
           *ret_status >= NODE_COMPLETED;
}

static void
node_ended(struct trace *t, struct trace_place *p, enum node_status status,
           const struct run_event *ev)
{
    const json_t *steps = json_object_get(json_object_get(ev->detail, "output"), "steps");
    p->what = TRACE_NODE;
    text_set(&p->type, json_str(ev->detail, "type", NULL));
    text_set(&p->who, json_str(ev->detail, "agent", NULL));
    text_set(&p->error, json_str(ev->detail, "error", NULL));
    ended(p, status, ev->detail);
    const int64_t took = MAX(json_int(ev->detail, "duration_ms", 0), 0);
    const int64_t from = json_int(ev->detail, "started", ev->wall_ms - took); /* of items: at */
    p->busy_ms = add_saturating(p->busy_ms, took);
    if (status != NODE_SKIPPED)
        time_seen(t, p, from, add_saturating(from, took));
    if (str_eq(p->type, "judge") && json_is_array(steps) &&
        json_array_size(steps) <= PLANNED_STEPS_MAX) {
        json_decref(p->steps);
        p->steps = json_incref((json_t *)(uintptr_t)steps);
    }
}

static void
step_ended(struct trace *t, struct trace_place *p, const struct run_event *ev, bool ok)
{
    const int64_t to = json_int(ev->detail, "at", ev->wall_ms);
    const int64_t from = json_int(ev->detail, "began", to);
    p->what = TRACE_STEP;
    text_set(&p->type, json_str(ev->detail, "type", NULL));
    text_set(&p->who, json_str(ev->detail, "target", NULL));
    text_set(&p->error, json_str(json_object_get(ev->detail, "error"), "text", NULL));
    ended(p, ok ? NODE_COMPLETED : NODE_FAILED, ev->detail);
    p->busy_ms = add_saturating(p->busy_ms, MAX(to - from, 0));
    p->waited_ms = add_saturating(p->waited_ms, json_int(ev->detail, "waited_ms", 0));
    struct usage u;
    usage_from_json(json_object_get(ev->detail, "usage"), &u);
    usage_add(&t->root.usage, &u);
    time_seen(t, p, from, to);
}

/* A node that waits, or a place of its own for the wait. */
static void
wait_begun(struct trace *t, struct trace_place *p, const struct run_event *ev)
{
    const bool known = p->waits_from_ms != 0;
    p->waits_from_ms = ev->wall_ms;
    if (p->n && (p->what != TRACE_WAIT || known))
        return;
    p->what = TRACE_WAIT;
    p->n++;
    p->status = NODE_RUNNING;
    text_set(&p->type, json_str(ev->detail, "type", NULL));
    text_set(&p->who, json_str(ev->detail, "signal", json_str(ev->detail, "prompt", NULL)));
    time_seen(t, p, ev->wall_ms, 0);
}

static void
wait_ended(struct trace *t, struct trace_place *p, const struct run_event *ev)
{
    if (p->waits_from_ms)
        p->waited_ms = add_saturating(p->waited_ms, MAX(ev->wall_ms - p->waits_from_ms, 0));
    p->waits_from_ms = 0;
    if (p->what != TRACE_WAIT)
        return;
    p->ended[NODE_COMPLETED]++;
    p->n = MAX(p->n, ends(p)); /* of several at once in a folded place, one is seen to begin */
    p->status = ends(p) < p->n ? NODE_RUNNING : NODE_COMPLETED;
    time_seen(t, p, 0, ev->wall_ms);
}

/* All so far was done by another run, at another time. */
static void
taken_over(struct trace *t)
{
    void *value;
    for (size_t i = 0; map_next(t->by_path, &i, NULL, &value);) {
        struct trace_place *p = value;
        p->taken = true;
        p->from_ms = p->to_ms = 0;
    }
    t->root.usage = (struct usage){0};
    t->to_ms = t->from_ms;
}

static void
run_event(struct trace *t, const struct run_event *ev)
{
    if (strcmp(ev->name, EVENT_RUN_STARTED) == 0) {
        t->lives = 1;
        text_set(&t->run, ev->run);
        text_set(&t->root.name, json_str(ev->detail, "workflow", NULL));
    } else if (strcmp(ev->name, EVENT_RUN_RESUMED) == 0) {
        t->lives++;
        t->status = RUN_RUNNING;
    } else if (strcmp(ev->name, EVENT_RUN_WAITING) == 0) {
        t->status = RUN_WAITING;
    } else if (strcmp(ev->name, EVENT_RUN_FORKED) == 0) {
        taken_over(t);
    } else if (run_status_parse(json_str(ev->detail, "status", ""), &t->status)) {
        text_set(&t->root.error, json_str(ev->detail, "error", NULL));
        t->root.to_ms = ev->wall_ms;
    }
    if (!t->from_ms)
        t->root.from_ms = t->from_ms = ev->wall_ms;
    t->to_ms = MAX(t->to_ms, ev->wall_ms);
}

/* Whether it says that something began or ended there. Others are remarks (where a conversation
 * stands, who got a task): they make no places. */
static bool
is_of_place(const char *event)
{
    static const char *const events[] = {
        EVENT_NODE_STARTED, EVENT_STEP_STARTED, EVENT_STEP_COMPLETED, EVENT_STEP_FAILED,
        EVENT_ASKED,        EVENT_ANSWERED,     EVENT_WAIT_STARTED,   EVENT_WAIT_ENDED};
    enum node_status status;
    for (size_t i = 0; i < COUNT(events); i++) {
        if (strcmp(event, events[i]) == 0)
            return true;
    }
    return end_of(event, &status);
}

void
trace_event(struct trace *t, const struct run_event *ev)
{
    if (!*ev->path) {
        run_event(t, ev);
        return;
    }
    if (!is_of_place(ev->name))
        return;
    struct trace_place *p = place_at(t, ev->path);
    enum node_status status;
    if (p == &t->root)
        return;
    if (strcmp(ev->name, EVENT_NODE_STARTED) == 0)
        begun(t, p, TRACE_NODE, ev);
    else if (strcmp(ev->name, EVENT_STEP_STARTED) == 0)
        begun(t, p, TRACE_STEP, ev);
    else if (end_of(ev->name, &status))
        node_ended(t, p, status, ev);
    else if (strcmp(ev->name, EVENT_STEP_COMPLETED) == 0)
        step_ended(t, p, ev, true);
    else if (strcmp(ev->name, EVENT_STEP_FAILED) == 0)
        step_ended(t, p, ev, false);
    else if (strcmp(ev->name, EVENT_ASKED) == 0 || strcmp(ev->name, EVENT_WAIT_STARTED) == 0)
        wait_begun(t, p, ev);
    else if (strcmp(ev->name, EVENT_ANSWERED) == 0 || strcmp(ev->name, EVENT_WAIT_ENDED) == 0)
        wait_ended(t, p, ev);
}

/* ---- words ----------------------------------------------------------------- */

void
trace_say_state(const struct trace_place *p, struct str *to)
{
    if (p->n <= 1) {
        str_addf(to, "%s%s", node_status_name(p->status), p->taken ? " before" : "");
        return;
    }
    str_addf(to, "%zu of %zu completed", p->ended[NODE_COMPLETED], p->n);
    for (enum node_status s = NODE_FAILED; s <= NODE_CANCELLED; s++) {
        if (p->ended[s])
            str_addf(to, ", %zu %s", p->ended[s], node_status_name(s));
    }
    if (p->n > ends(p))
        str_addf(to, ", %zu running", p->n - ends(p));
}
