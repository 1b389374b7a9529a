/* forkmark.c - which records of a journal a fork takes over. */
#include "engine/forkmark.h"
#include "base/near.h"
#include "engine/journal/undolog.h"
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 128 /* of a place; graphs nest 32 deep, agents call each other 16 deep */

void
fork_marks_init(struct fork_marks *m)
{
    *m = (struct fork_marks){.spots = map_new(), .status = RUN_RUNNING};
    m->root.name = m->root.path = xstrdup("");
    m->root.first = 1;
}

static void
spot_fini(struct spot *s)
{
    vec_fini(&s->below);
    free(s->path);
    free(s->worker);
    free(s->target);
}

void
fork_marks_fini(struct fork_marks *m)
{
    void *value;
    for (size_t i = 0; map_next(m->spots, &i, NULL, &value);) {
        spot_fini(value);
        free(value);
    }
    spot_fini(&m->root);
    map_free(m->spots);
}

/* ---- reading --------------------------------------------------------------- */

/* Made with all spots on the way to it. */
static struct spot *
spot_make(struct fork_marks *m, const char *path)
{
    struct spot *found = map_get(m->spots, path), *above = &m->root;
    if (found)
        return found;
    AUTO(freep) char *part = xstrdup(path);
    for (char *end = part; end; end = *end ? end + 1 : NULL) {
        end += strcspn(end, "/");
        const char slash = *end;
        *end = '\0';
        struct spot *s = map_get(m->spots, part);
        if (!s) {
            s = xcalloc(1, sizeof *s);
            s->path = xstrdup(part);
            s->name = strrchr(s->path, '/') ? strrchr(s->path, '/') + 1 : s->path;
            s->up = above;
            s->status = NODE_RUNNING;
            map_put(m->spots, part, s);
            vec_push(&above->below, s);
        }
        above = s;
        *end = slash;
    }
    return above;
}

static void
take_text(char **at, const json_t *text)
{
    free(*at);
    *at = xstrdup(json_is_string(text) ? json_string_value(text) : "");
}

static struct err *
run_feed(struct fork_marks *m, const struct record *rec)
{
    AUTO(json_freep) json_t *body = NULL;
    if (rec->kind != REC_RUN_ENDED)
        return NULL;
    PASS(record_decode(rec, &body));
    run_status_parse(json_str(body, "status", ""), &m->status);
    return NULL;
}

/* What was undone, or may have been, is no result any more. */
static void
undo_note(struct spot *s, const json_t *state)
{
    static const enum undo_state gone[] = {UNDO_TRYING, UNDO_FAILED, UNDO_DONE, UNDO_BY_HAND};
    for (size_t i = 0; i < COUNT(gone); i++)
        s->undone |= json_is_string(state) &&
                     strcmp(json_string_value(state), undo_state_name(gone[i])) == 0;
}

struct err *
fork_marks_feed(struct fork_marks *m, const struct store_record *stored)
{
    const struct record rec = {(enum record_kind)stored->kind, stored->path, stored->body,
                               stored->body_len};
    AUTO(json_freep) json_t *status = NULL;
    AUTO(json_freep) json_t *agent = NULL;
    AUTO(json_freep) json_t *target = NULL;
    AUTO(json_freep) json_t *state = NULL;
    AUTO(json_freep) json_t *results = NULL;
    const struct json_want want[] = {{"status", &status},
                                     {"agent", &agent},
                                     {"target", &target},
                                     {"state", &state},
                                     {"results", &results}};
    if (!*rec.path)
        return run_feed(m, &rec);
    struct spot *s = spot_make(m, rec.path);
    TRY(record_pick(&rec, want, COUNT(want)), "record %lld", (long long)stored->seq);
    if (rec.kind == REC_NODE_STARTED || rec.kind == REC_NODE_ENDED) {
        s->is_node = true;
        take_text(&s->worker, agent);
        if (rec.kind == REC_NODE_ENDED) {
            s->ended = true;
            node_status_parse(json_is_string(status) ? json_string_value(status) : "", &s->status);
        }
    } else if (rec.kind == REC_ITEM_DONE || rec.kind == REC_ITEM_FAILED) {
        s->is_node = s->ended = true;
        s->status = rec.kind == REC_ITEM_DONE ? NODE_COMPLETED : NODE_FAILED;
    } else if (rec.kind == REC_STEP_INTENT) {
        take_text(&s->target, target);
    } else if (rec.kind == REC_STREAM_OPENED && json_is_string(results)) {
        take_text(&s->target, results); /* a file that will be written anew */
    } else if (rec.kind == REC_UNDO) {
        undo_note(s, state);
    }
    for (; s; s = s->up) {
        s->first = s->first ? s->first : stored->seq;
        s->last = stored->seq;
    }
    return NULL;
}

/* ---- deciding -------------------------------------------------------------- */

static bool
broke(const struct spot *s)
{
    return s->is_node &&
           (s->undone || !s->ended || (s->status != NODE_COMPLETED && s->status != NODE_SKIPPED));
}

static struct spot *
spot_below(const struct fork_marks *m, const struct spot *s, const char *name, size_t n)
{
    AUTO(freep)
    char *path = *s->path ? xasprintf("%s/%.*s", s->path, (int)n, name) : xstrndup(name, n);
    return map_get(m->spots, path);
}

/* What began later may rest on it; nothing rests on what has not ended. */
static int64_t
end_of(const struct spot *s)
{
    return s->is_node && !s->ended ? INT64_MAX : s->last;
}

struct marking {
    const struct fork_marks *m;
    const struct plan *plan;
    unsigned depth;
};

static void mark(struct marking *k, struct spot *s, const struct graph *g, const char *from);

/* The graph that ran at a spot inside of a graph that decides; NULL: an agent, or not known. */
static const struct graph *
member_graph(const struct marking *k, const struct graph *g, const struct spot *s)
{
    const size_t base = strcspn(s->name, "[");
    for (size_t i = 0; g && i < g->nnodes; i++) {
        const char *id = g->nodes[i]->id;
        if (strlen(id) == base && strncmp(id, s->name, base) == 0)
            return g->nodes[i]->child;
    }
    return s->worker && *s->worker ? plan_graph(k->plan, s->worker) : NULL;
}

/* A place that is on the way to `rest`, or that broke: itself again, and what that means inside. */
static void
mark_inside(struct marking *k, struct spot *s, const struct graph *g, const char *rest)
{
    if (!rest && !g) {
        s->fate = SPOT_ANEW; /* an agent: its turns rest on each other */
        return;
    }
    s->fate = SPOT_AGAIN;
    mark(k, s, g, rest);
}

/* All that depends on the nodes marked in `again`. */
static void
mark_dependents(const struct marking *k, const struct spot *s, const struct graph *g, bool *again)
{
    AUTO(freep) unsigned *todo = xcalloc(g->nnodes, sizeof *todo);
    AUTO(freep) bool *seen = xcalloc(g->nnodes, sizeof *seen);
    size_t n = 0;
    for (unsigned i = 0; i < g->nnodes; i++) {
        if (again[i])
            todo[n++] = i;
    }
    while (n) {
        const struct node *from = g->nodes[todo[--n]];
        for (size_t d = 0; d < from->ndependents; d++) {
            const unsigned i = from->dependents[d];
            struct spot *below = spot_below(k->m, s, g->nodes[i]->id, strlen(g->nodes[i]->id));
            if (below)
                below->fate = SPOT_ANEW;
            if (!seen[i] && !again[i])
                todo[n++] = i;
            seen[i] = true;
        }
    }
}

static void
mark_graph(struct marking *k, struct spot *s, const struct graph *g, const char *from)
{
    const bool broken = s->up ? broke(s) : s->status != NODE_COMPLETED;
    const size_t first = from ? strcspn(from, "/") : 0;
    AUTO(freep) bool *again = xcalloc(g->nnodes, sizeof *again);
    for (size_t i = 0; i < g->nnodes; i++) {
        const struct node *n = g->nodes[i];
        const bool is_it = from && strlen(n->id) == first && strncmp(n->id, from, first) == 0;
        struct spot *below = spot_below(k->m, s, n->id, strlen(n->id));
        again[i] = is_it || (broken && below && broke(below));
        if (!again[i] || !below)
            continue;
        if (is_it && !from[first])
            below->fate = SPOT_ANEW;
        else
            mark_inside(k, below, n->child, is_it ? from + first + 1 : NULL);
    }
    mark_dependents(k, s, g, again);
}

/* Nobody said what rests on what: what began after the place had ended may rest on it. */
static void
mark_sequence(struct marking *k, struct spot *s, const struct graph *g, const char *from)
{
    const bool items = g && strcmp(g->type, "foreach") == 0; /* they know nothing of each other */
    const bool broken = s->up ? broke(s) : s->status != NODE_COMPLETED;
    struct spot *it = from ? spot_below(k->m, s, from, strcspn(from, "/")) : NULL;
    int64_t after = INT64_MAX;
    if (it) {
        const char *rest = from[strlen(it->name)] ? from + strlen(it->name) + 1 : NULL;
        after = end_of(it);
        if (rest)
            mark_inside(k, it, member_graph(k, g, it), rest);
        else
            it->fate = SPOT_ANEW;
    }
    for (size_t i = 0; i < s->below.len; i++) {
        struct spot *b = s->below.at[i];
        if ((it && b == it) || !broken || !broke(b))
            continue;
        after = MIN(after, end_of(b));
        mark_inside(k, b, member_graph(k, g, b), NULL);
    }
    for (size_t i = 0; !items && i < s->below.len; i++) {
        if (s->below.at[i]->first > after)
            s->below.at[i]->fate = SPOT_ANEW;
    }
}

static void
mark(struct marking *k, struct spot *s, const struct graph *g, const char *from)
{
    if (++k->depth > DEPTH_MAX)
        s->fate = SPOT_ANEW;
    else if (g && !(g->kind && g->kind->control))
        mark_graph(k, s, g, from);
    else
        mark_sequence(k, s, g, from);
    k->depth--;
}

/* ---- the place ------------------------------------------------------------- */

static struct err *
no_such_place(const struct fork_marks *m, const char *from)
{
    struct near near = NEAR_INIT(from);
    const char *path, *only = NULL;
    void *value;
    for (size_t i = 0; map_next(m->spots, &i, &path, &value);) {
        const struct spot *s = value;
        if (!s->is_node)
            continue;
        near_offer(&near, path);
        if (strcmp(s->name, from) == 0)
            only = path;
    }
    if (only || near.best)
        return FAIL(ERR_MISSING, "the run has nothing at '%s' (did you mean '%s'?)", from,
                    only ? only : near.best);
    return FAIL(ERR_MISSING, "the run has nothing at '%s'; `tutti runs show` lists its nodes",
                from);
}

static bool
is_node_of(const struct graph *g, const char *id)
{
    for (size_t i = 0; i < g->nnodes; i++) {
        if (strcmp(g->nodes[i]->id, id) == 0)
            return true;
    }
    return false;
}

struct err *
fork_marks_set(struct fork_marks *m, const struct plan *p, const char *from)
{
    struct marking k = {.m = m, .plan = p};
    if (!map_has(m->spots, from) && !is_node_of(plan_root(p), from))
        return no_such_place(m, from);
    m->root.status =
        m->status == RUN_COMPLETED || m->status == RUN_PARTIAL ? NODE_COMPLETED : NODE_FAILED;
    mark(&k, &m->root, plan_root(p), from);
    return NULL;
}

/* What the origin did is the origin's to undo. */
bool
fork_takes(const struct fork_marks *m, const struct store_record *rec)
{
    if (rec->kind == REC_UNDO || rec->kind == REC_UNDOING || undo_part(rec->path))
        return false;
    const struct spot *s = *rec->path ? map_get(m->spots, rec->path) : NULL;
    if (!s || (s->fate == SPOT_AGAIN && rec->kind != REC_STREAM_OPENED)) /* items rest on that */
        return false;
    for (; s; s = s->up) {
        if (s->fate == SPOT_ANEW)
            return false;
    }
    return true;
}
