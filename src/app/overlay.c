/* overlay.c - how a run went, written into the picture of its workflow. */
#include "app/overlay.h"
#include "base/map.h"
#include "base/units.h"
#include <string.h>

#define ERROR_BYTES_MAX 120

static enum picture_state
state_of(const struct trace_place *p)
{
    static const enum picture_state of[] = {
        [NODE_PENDING] = PICTURE_UNREACHED,   [NODE_RUNNING] = PICTURE_RUNNING,
        [NODE_COMPLETED] = PICTURE_COMPLETED, [NODE_FAILED] = PICTURE_FAILED,
        [NODE_SKIPPED] = PICTURE_SKIPPED,     [NODE_CANCELLED] = PICTURE_CANCELLED};
    if (p->ended[NODE_FAILED] && p->status != NODE_RUNNING)
        return PICTURE_FAILED;
    return of[p->status];
}

/* Tries of the steps below; a node's own count is the most that one of its steps took. */
static unsigned
retries_of(const struct trace_place *p)
{
    unsigned sum = p->what == TRACE_STEP ? p->retries : 0;
    for (size_t i = 0; i < p->below.len; i++)
        sum += retries_of(p->below.at[i]);
    return sum;
}

static const char *
note_of(struct arena *a, const struct trace_place *p)
{
    AUTO(str_fini) struct str s = STR_INIT;
    const unsigned retries = retries_of(p);
    const struct usage *u = &p->usage;
    trace_say_state(p, &s);
    if (p->what == TRACE_WAIT && p->status == NODE_RUNNING) {
        str_reset(&s);
        str_add(&s, "waits");
    }
    if (p->status != NODE_SKIPPED && p->busy_ms) {
        str_addc(&s, ' ');
        duration_add(&s, p->n > 1 ? p->to_ms - p->from_ms : p->busy_ms);
    }
    if (retries)
        str_addf(&s, ", %u retr%s", retries, retries == 1 ? "y" : "ies");
    if (u->model_calls)
        str_addf(&s, ", %lld tokens", (long long)(u->input_tokens + u->output_tokens));
    if (u->tool_calls)
        str_addf(&s, ", %lld tool call%s", (long long)u->tool_calls, u->tool_calls == 1 ? "" : "s");
    if (p->error) {
        const size_t n = strlen(p->error);
        const size_t shown = n > ERROR_BYTES_MAX ? utf8_floor(p->error, ERROR_BYTES_MAX) : n;
        str_addf(&s, ": %.*s%s", (int)shown, p->error, shown < n ? "..." : "");
    }
    return arena_strndup(a, str_c(&s), s.len);
}

static void overlay_below(struct arena *a, struct picture *p, const struct trace_place *place);

static struct picture *
inside_of(struct arena *a, struct picture_node *n)
{
    if (!n->child) {
        n->child = arena_make(a, struct picture);
        n->child->title = n->id;
        n->child->type = "calls";
    }
    return n->child;
}

static void
node_fill(struct arena *a, struct picture_node *n, const struct trace_place *p)
{
    n->state = state_of(p);
    n->note = note_of(a, p);
    if (n->invented && p->who && *p->who)
        n->label = arena_strdup(a, p->who);
    if (n->child)
        overlay_below(a, n->child, p);
}

/* A node that is not in the definition; those below a model's turns belong to the model's node. */
static void
invent(struct arena *a, struct picture *in, const struct trace_place *p)
{
    if (p->what != TRACE_NODE) {
        for (size_t i = 0; i < p->below.len; i++)
            invent(a, in, p->below.at[i]);
        return;
    }
    AUTO(freep)
    char *name = trace_is_folded(p) ? xstrndup(p->name, trace_base_len(p->name)) : xstrdup(p->name);
    struct picture_node *n =
        picture_invent(a, in, p->up->what == TRACE_PART && p->who ? p->who : name);
    node_fill(a, n, p);
}

/* Agents that an agent called by its own decision. */
static bool
calls_any(const struct trace_place *p)
{
    for (size_t i = 0; i < p->below.len; i++) {
        if (p->below.at[i]->what == TRACE_NODE || calls_any(p->below.at[i]))
            return true;
    }
    return false;
}

/* "depends_on" of the planner's steps are arrows between step-1, step-2, ... */
static void
plan_arrows(struct arena *a, struct map *by_id, const json_t *steps)
{
    const json_t *step, *dep;
    size_t i, k;
    json_array_foreach (steps, i, step) {
        const json_t *depends = json_object_get(step, "depends_on");
        AUTO(freep) char *id = xasprintf("step-%zu", i + 1);
        struct picture_node *n = map_get(by_id, id);
        if (!n || n->ndeps)
            continue;
        n->deps = arena_array(a, unsigned, json_array_size(depends));
        json_array_foreach (depends, k, dep) {
            AUTO(freep) char *on = xasprintf("step-%lld", (long long)json_integer_value(dep));
            const struct picture_node *other = map_get(by_id, on);
            if (other)
                n->deps[n->ndeps++] = other->index;
        }
    }
}

/* Those that may be called and were, in a step of another name. */
static void
called_note(struct arena *a, struct picture *p, size_t defined)
{
    AUTO(map_freep) struct map *called = map_new();
    for (size_t i = defined; i < p->nnodes; i++)
        map_put(called, p->nodes[i]->label, p->nodes[i]);
    for (size_t i = 0; i < defined; i++) {
        const struct picture_node *as = map_get(called, p->nodes[i]->id);
        if (p->nodes[i]->state != PICTURE_UNREACHED || !as)
            continue;
        p->nodes[i]->state = as->state;
        p->nodes[i]->note = arena_printf(a, "called as %s", as->id);
    }
}

/* What a state says and waits for: of it is told what nothing else tells, and that it waits. */
static bool
is_part_of_state(const struct trace_place *p)
{
    const char *end = p->name + strlen(p->name);
    return p->name + trace_base_len(p->name) < end && end[-1] != ']';
}

static void
place_fill(struct arena *a, struct picture *p, struct picture_node *n, const struct trace_place *b)
{
    if (!n) {
        invent(a, p, b);
        return;
    }
    if (is_part_of_state(b) && n->state != PICTURE_UNREACHED && b->status != NODE_RUNNING)
        return;
    node_fill(a, n, b);
    if (n->child || !calls_any(b))
        return;
    for (size_t i = 0; i < b->below.len; i++)
        invent(a, inside_of(a, n), b->below.at[i]);
}

static void
overlay_below(struct arena *a, struct picture *p, const struct trace_place *place)
{
    static const struct trace_place nothing = {.n = 1};
    const size_t defined = p->nnodes;
    const json_t *steps = NULL;
    AUTO(map_freep) struct map *by_id = map_new();
    for (size_t i = 0; i < defined; i++) {
        p->nodes[i]->state = PICTURE_UNREACHED;
        map_put(by_id, p->nodes[i]->id, p->nodes[i]);
        if (p->nodes[i]->child)
            overlay_below(a, p->nodes[i]->child, &nothing);
    }
    for (size_t k = 0; k < place->below.len; k++) {
        const struct trace_place *b = place->below.at[k];
        AUTO(freep) char *id = xstrndup(b->name, trace_base_len(b->name));
        place_fill(a, p, map_get(by_id, id), b);
        steps = b->steps ? b->steps : steps;
    }
    for (size_t i = defined; i < p->nnodes; i++)
        map_put(by_id, p->nodes[i]->id, p->nodes[i]);
    plan_arrows(a, by_id, steps);
    if (p->about)
        called_note(a, p, defined);
}

void
overlay_run(struct arena *a, struct picture *p, const struct trace *t)
{
    AUTO(str_fini) struct str s = STR_INIT;
    overlay_below(a, p, &t->root);
    str_addf(&s, "run %s: %s ", t->run ? t->run : "", run_status_name(t->status));
    duration_add(&s, MAX(t->to_ms - t->from_ms, 0));
    if (t->lives > 1)
        str_addf(&s, ", taken up again %u time%s", t->lives - 1, t->lives == 2 ? "" : "s");
    p->note = arena_strndup(a, str_c(&s), s.len);
}
