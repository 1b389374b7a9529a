/* timeline.c - a run over time. */
#include "observe/timeline.h"
#include "base/printable.h"
#include "base/units.h"
#include <string.h>

#define WIDTH_MIN  60
#define NAME_MIN   18
#define TIME_WIDTH 11 /* "12 min 21 s" */

struct drawing {
    const struct trace *trace;
    struct str *to;
    unsigned name, bar, note; /* columns */
    size_t rows, left_out;
};

static int64_t
place_end(const struct trace *t, const struct trace_place *p)
{
    return p->status == NODE_RUNNING && p->what != TRACE_PART ? t->to_ms
                                                              : MAX(p->to_ms, p->from_ms);
}

/* ---- text ------------------------------------------------------------------ */

static char
bar_mark(const struct trace_place *p)
{
    static const char marks[] = {
        [NODE_PENDING] = '.', [NODE_RUNNING] = '>', [NODE_COMPLETED] = '=',
        [NODE_FAILED] = 'x',  [NODE_SKIPPED] = '-', [NODE_CANCELLED] = '!'};
    return p->what == TRACE_WAIT || p->waits_from_ms ? '~'
           : p->what == TRACE_PART                   ? '.'
                                                     : marks[p->status];
}

static void
bar_add(const struct drawing *d, const struct trace_place *p)
{
    const struct trace *t = d->trace;
    const double span = (double)MAX(t->to_ms - t->from_ms, 1);
    if (!p->from_ms || p->status == NODE_SKIPPED) {
        str_addf(d->to, "|%*s|", (int)d->bar, "");
        return;
    }
    const double from = (double)MAX(p->from_ms - t->from_ms, 0) / span * d->bar;
    const double to = (double)MAX(place_end(t, p) - t->from_ms, 0) / span * d->bar;
    const unsigned first = MIN((unsigned)from, d->bar - 1);
    const unsigned last = MAX(MIN((unsigned)(to + 0.5), d->bar), first + 1);
    str_addc(d->to, '|');
    for (unsigned i = 0; i < d->bar; i++)
        str_addc(d->to, i < first || i >= last ? ' ' : bar_mark(p));
    str_addc(d->to, '|');
}

static void
note_add(const struct trace_place *p, struct str *to)
{
    if (p->n > 1 || p->taken)
        trace_say_state(p, to);
    else if (p->what != TRACE_PART && p->status != NODE_COMPLETED && !p->waits_from_ms)
        str_add(to, p->what == TRACE_STEP && p->status == NODE_RUNNING
                        ? "in doubt or under way"
                        : node_status_name(p->status));
    if (p->who && *p->who && strcmp(p->who, p->name) != 0)
        str_addf(to, "%s%s", to->len ? "  " : "", p->who);
    if (p->retries)
        str_addf(to, "  %u retr%s", p->retries, p->retries == 1 ? "y" : "ies");
    if (p->waits_from_ms)
        str_add(to, "  waits");
    if (p->waited_ms) {
        str_add(to, "  waited ");
        duration_add(to, p->waited_ms);
    }
    if (p->usage.model_calls && p->usage.input_tokens + p->usage.output_tokens)
        str_addf(to, "  %lld tokens", (long long)(p->usage.input_tokens + p->usage.output_tokens));
    if (p->error)
        str_addf(to, "  %s", p->error);
}

static void
time_add(struct str *to, int64_t ms, bool known)
{
    AUTO(str_fini) struct str text = STR_INIT;
    if (known)
        duration_add(&text, ms);
    printable_fit(to, str_c(&text), TIME_WIDTH, true);
    str_addc(to, ' ');
}

static void
row_add(struct drawing *d, const struct trace_place *p, unsigned depth)
{
    AUTO(str_fini) struct str name = STR_INIT, note = STR_INIT;
    const bool timed = p->from_ms && p->status != NODE_SKIPPED;
    str_addf(&name, "%*s%s", (int)(2 * MIN(depth, 20)), "", p->name);
    printable_fit(d->to, str_c(&name), d->name, true);
    str_addc(d->to, ' ');
    time_add(d->to, p->from_ms - d->trace->from_ms, timed);
    time_add(d->to, p->n > 1 && p->busy_ms ? p->busy_ms : place_end(d->trace, p) - p->from_ms,
             timed);
    bar_add(d, p);
    str_addc(d->to, ' ');
    note_add(p, &note);
    printable_fit(d->to, str_c(&note), d->note, false);
    while (d->to->p[d->to->len - 1] == ' ')
        d->to->p[--d->to->len] = '\0';
    str_addc(d->to, '\n');
}

/* Places in the order of their first event: what came first stands first. */
static void
rows_add(struct drawing *d, const struct trace_place *p, unsigned depth)
{
    for (size_t i = 0; i < p->below.len; i++) {
        if (d->rows == TIMELINE_ROWS) {
            d->left_out++;
        } else {
            d->rows++;
            row_add(d, p->below.at[i], depth);
        }
        rows_add(d, p->below.at[i], depth + 1);
    }
}

static void
widest(const struct trace_place *p, unsigned depth, size_t *ret_columns)
{
    for (size_t i = 0; i < p->below.len; i++) {
        const struct trace_place *b = p->below.at[i];
        AUTO(str_fini) struct str name = STR_INIT;
        printable_add(&name, b->name, strlen(b->name));
        *ret_columns =
            MAX(*ret_columns, 2 * MIN(depth, 20) + printable_columns(str_c(&name), name.len));
        widest(b, depth + 1, ret_columns);
    }
}

static void
head_add(const struct trace *t, unsigned width, struct str *to)
{
    AUTO(str_fini) struct str head = STR_INIT;
    const struct usage *u = &t->root.usage;
    str_addf(&head, "%s %s  %s  ", t->root.name, t->run ? t->run : "", run_status_name(t->status));
    duration_add(&head, MAX(t->to_ms - t->from_ms, 0));
    if (t->lives > 1)
        str_addf(&head, "  taken up again %u time%s", t->lives - 1, t->lives == 2 ? "" : "s");
    if (u->model_calls)
        str_addf(&head, "  %lld tokens", (long long)(u->input_tokens + u->output_tokens));
    printable_fit(to, str_c(&head), width, false);
    str_addc(to, '\n');
}

void
timeline_text(const struct trace *t, unsigned width, struct str *to)
{
    struct drawing d = {.trace = t, .to = to};
    size_t name = 0;
    width = MAX(width, WIDTH_MIN);
    widest(&t->root, 0, &name);
    d.name = (unsigned)MAX(MIN(name, width / 3), NAME_MIN);
    const unsigned left = width - d.name - 2 * TIME_WIDTH - 7;
    d.bar = MAX(left / 2, 8);
    d.note = left > d.bar ? left - d.bar : 1;
    head_add(t, width, to);
    rows_add(&d, &t->root, 0);
    if (d.left_out)
        str_addf(to, "... and %zu more rows; --json has them all\n", d.left_out);
}

/* ---- JSON ------------------------------------------------------------------ */

static json_t *
counts_json(const struct trace_place *p)
{
    json_t *counts = json_pack("{sI}", "of", (json_int_t)p->n);
    for (enum node_status s = NODE_COMPLETED; s <= NODE_CANCELLED; s++) {
        if (p->ended[s])
            json_object_set_new(counts, node_status_name(s), json_integer((json_int_t)p->ended[s]));
    }
    return counts;
}

static json_t *
place_json(const struct trace *t, const struct trace_place *p)
{
    static const char *const whats[] = {"part", "node", "step", "wait"};
    json_t *j = json_pack("{ss ss ss* ss* ss*}", "path", p->path, "what", whats[p->what], "type",
                          p->type, p->what == TRACE_NODE ? "agent" : "target", p->who, "status",
                          p->what == TRACE_PART ? NULL : node_status_name(p->status));
    if (p->n > 1 || trace_is_folded(p))
        json_object_set_new(j, "counts", counts_json(p));
    if (p->from_ms) {
        json_object_set_new(j, "start_ms", json_integer(p->from_ms - t->from_ms));
        json_object_set_new(j, "duration_ms", json_integer(place_end(t, p) - p->from_ms));
    }
    if (p->n > 1)
        json_object_set_new(j, "busy_ms", json_integer(p->busy_ms));
    json_object_set_new(j, "waited_ms", json_integer(p->waited_ms));
    json_object_set_new(j, "retries", json_integer(p->retries));
    if (p->usage.model_calls || p->usage.tool_calls)
        json_object_set_new(j, "usage", usage_to_json(&p->usage));
    if (p->taken)
        json_object_set_new(j, "taken_over", json_true());
    if (p->error)
        json_object_set_new(j, "error", json_string_lossy(p->error, strlen(p->error)));
    return j;
}

static void
places_json(const struct trace *t, const struct trace_place *p, json_t *list)
{
    for (size_t i = 0; i < p->below.len; i++) {
        json_array_append_new(list, place_json(t, p->below.at[i]));
        places_json(t, p->below.at[i], list);
    }
}

json_t *
timeline_json(const struct trace *t)
{
    char iso[32];
    time_iso(t->from_ms, iso);
    json_t *rows = json_array();
    places_json(t, &t->root, rows);
    return json_pack("{ss* so ss ss sI si so}", "run", t->run, "workflow",
                     json_string_lossy(t->root.name, strlen(t->root.name)), "status",
                     run_status_name(t->status), "started", iso, "duration_ms",
                     MAX(t->to_ms - t->from_ms, 0), "lives", (int)t->lives, "rows", rows);
}
