/* progress.c - the live tree and the plain lines. */
#include "observe/progress.h"
#include "base/map.h"
#include "base/printable.h"
#include "base/units.h"
#include "base/vec.h"
#include "model/kind.h"
#include <stdlib.h>
#include <string.h>

#define TAIL_BYTES    256
#define DRAW_EVERY_MS 80
#define SAY_EVERY_MS  5000 /* of what goes on all the time */

struct item { /* a node, as far as it is known */
    char *path;
    char *agent, *note; /* note: what it is doing, or why it failed */
    enum node_status status;
    int64_t started_ms, duration_ms;
    struct usage usage;
    unsigned retries;
    struct str tail; /* the end of the streamed text */
    bool shown;      /* plain: its line was written */
    char *member;    /* of a foreach over a file: what its items' paths begin with; or NULL */
    int64_t completed, failed, percent, said_ms;
};

struct progress {
    struct progress_opts opts;
    struct map *by_path; /* path -> struct item */
    VEC(struct item *) items;
    VEC(struct item *) streams; /* of them: each a foreach over a file */
    char *title;
    int64_t started_ms, now_ms, drawn_ms;
    unsigned lines; /* of the last picture */
    bool ended;
    char *end;
};

struct progress *
progress_new(const struct progress_opts *opts)
{
    struct progress *p = xcalloc(1, sizeof *p);
    p->opts = *opts;
    if (!p->opts.width)
        p->opts.width = 80;
    if (!p->opts.rows)
        p->opts.rows = 24;
    p->by_path = map_new();
    return p;
}

void
progress_free(struct progress *p)
{
    if (!p)
        return;
    vec_each (&p->items, i) {
        free((*i)->path);
        free((*i)->agent);
        free((*i)->note);
        free((*i)->member);
        str_fini(&(*i)->tail);
        free(*i);
    }
    vec_fini(&p->items);
    vec_fini(&p->streams);
    map_free(p->by_path);
    free(p->title);
    free(p->end);
    free(p);
}

/* The node a path belongs to: its own entry, or the nearest one above it that is known. */
static struct item *
item_near(struct progress *p, const char *path)
{
    AUTO(freep) char *at = xstrdup(path);
    for (;;) {
        struct item *i = map_get(p->by_path, at);
        char *slash = strrchr(at, '/');
        if (i || !slash)
            return i;
        *slash = '\0';
    }
}

static struct item *
item_at(struct progress *p, const char *path)
{
    struct item *i = map_get(p->by_path, path);
    if (i)
        return i;
    i = xcalloc(1, sizeof *i);
    i->path = xstrdup(path);
    map_put(p->by_path, path, i);
    vec_push(&p->items, i);
    return i;
}

static void
set_text(char **at, const char *text)
{
    char *copy = text ? xstrdup(text) : NULL;
    free(*at);
    *at = copy;
}

/* ---- words ----------------------------------------------------------------- */

static const char *
mark_of(const struct progress *p, enum node_status status)
{
    static const char *const plain[] = {".", ">", "+", "x", "-", "!"};
    static const char *const colored[] = {"\033[2m.\033[0m",  "\033[36m>\033[0m",
                                          "\033[32m+\033[0m", "\033[31mx\033[0m",
                                          "\033[2m-\033[0m",  "\033[33m!\033[0m"};
    return p->opts.color ? colored[status] : plain[status];
}

static void
usage_words(const struct usage *u, struct str *to)
{
    if (u->model_calls)
        str_addf(to, "  %lld tokens", (long long)(u->input_tokens + u->output_tokens));
    if (u->cost_usd > 0)
        str_addf(to, "  $%.4f", u->cost_usd);
    if (u->tool_calls)
        str_addf(to, "  %lld tool call%s", (long long)u->tool_calls, u->tool_calls == 1 ? "" : "s");
}

/* "pay/undo[1]" is the undo of pay: in a list, far from it, that has to be said. */
static void
name_words(const char *path, const char *name, struct str *to)
{
    if (strncmp(name, "undo[", 5) != 0 || name == path) {
        printable_add(to, name, strlen(name));
        return;
    }
    const char *end = name - 1, *of = end;
    while (of > path && of[-1] != '/')
        of--;
    str_add(to, "undo of ");
    printable_add(to, of, (size_t)(end - of));
    if (strcmp(name, "undo[1]") != 0) {
        str_add(to, ", try ");
        printable_add(to, name + 5, strcspn(name + 5, "]"));
    }
}

static void
counts_words(const struct item *i, struct str *to)
{
    if (!i->member)
        return;
    const int64_t n = i->completed + i->failed;
    str_addf(to, "  %lld item%s", (long long)n, n == 1 ? "" : "s");
    if (i->failed)
        str_addf(to, ", %lld failed", (long long)i->failed);
    if (i->status == NODE_RUNNING)
        str_addf(to, ", %lld %%", (long long)i->percent);
}

static void
item_words(const struct progress *p, const struct item *i, struct str *to)
{
    unsigned depth = 0;
    const char *name = i->path;
    for (const char *c = i->path; *c; c++) {
        if (*c == '/') {
            depth++;
            name = c + 1;
        }
    }
    str_addf(to, "%*s%s ", (int)(2 * depth + 2), "", mark_of(p, i->status));
    name_words(i->path, name, to);
    if (i->agent && strcmp(i->agent, name) != 0) {
        str_add(to, " (");
        printable_add(to, i->agent, strlen(i->agent));
        str_addc(to, ')');
    }
    int64_t ms = i->status == NODE_RUNNING ? p->now_ms - i->started_ms : i->duration_ms;
    if (i->status == NODE_SKIPPED) {
        str_add(to, "  skipped");
    } else if (i->started_ms && (ms > 0 || i->status != NODE_RUNNING)) {
        str_add(to, "  ");
        duration_add(to, MAX(ms, 0));
    }
    counts_words(i, to);
    usage_words(&i->usage, to);
    if (i->retries)
        str_addf(to, "  %u retr%s", i->retries, i->retries == 1 ? "y" : "ies");
    if (i->note && i->status != NODE_COMPLETED) {
        str_add(to, "  ");
        printable_add(to, i->note, strlen(i->note));
    }
}

/* ---- the live tree --------------------------------------------------------- */

static void
line_out(struct progress *p, struct str *line)
{
    /* Escapes take no room: allow for the one mark of a colored line. */
    size_t room = p->opts.width - 1 + (p->opts.color ? 9 : 0);
    size_t n = line->len > room ? utf8_floor(line->p, room) : line->len;
    fprintf(p->opts.out, "\033[K%.*s\n", (int)n, str_c(line));
    str_reset(line);
    p->lines++;
}

static void
draw(struct progress *p)
{
    AUTO(str_fini) struct str line = STR_INIT;
    if (p->lines)
        fprintf(p->opts.out, "\033[%uA", p->lines);
    p->lines = 0;
    str_addf(&line, "%s  ", p->title ? p->title : "run");
    duration_add(&line, MAX(p->now_ms - p->started_ms, 0));
    line_out(p, &line);
    size_t room = p->opts.rows > 6 ? p->opts.rows - 4 : 2, n = p->items.len;
    size_t first = n > room ? n - room : 0;
    if (first) {
        str_addf(&line, "  ... %zu more above", first);
        line_out(p, &line);
    }
    for (size_t k = first; k < n; k++) {
        const struct item *i = p->items.at[k];
        item_words(p, i, &line);
        if (i->status == NODE_RUNNING && i->tail.len) {
            str_add(&line, "  ");
            size_t used = MIN(line.len, (size_t)p->opts.width),
                   left = p->opts.width > used + 8 ? p->opts.width - used - 4 : 0;
            size_t skip = i->tail.len > left ? i->tail.len - left : 0;
            while (skip < i->tail.len && ((unsigned char)i->tail.p[skip] & 0xc0) == 0x80)
                skip++;
            printable_add(&line, i->tail.p + skip, i->tail.len - skip);
        }
        line_out(p, &line);
    }
    fputs("\033[J", p->opts.out);
    fflush(p->opts.out);
    p->drawn_ms = p->now_ms;
}

static void
changed(struct progress *p, bool now)
{
    if (p->opts.live && (now || p->now_ms - p->drawn_ms >= DRAW_EVERY_MS))
        draw(p);
}

static void
say(struct progress *p, const struct item *i)
{
    AUTO(str_fini) struct str line = STR_INIT;
    if (p->opts.live)
        return;
    item_words(p, i, &line);
    fprintf(p->opts.out, "%s\n", str_c(&line));
    fflush(p->opts.out);
}

/* ---- events ---------------------------------------------------------------- */

static void
node_started(struct progress *p, const struct run_event *ev)
{
    struct item *i = item_at(p, ev->path);
    i->status = NODE_RUNNING;
    i->started_ms = ev->wall_ms;
    set_text(&i->agent, json_str(ev->detail, "agent", NULL));
    say(p, i);
}

static void
node_ended(struct progress *p, const struct run_event *ev)
{
    struct item *i = item_at(p, ev->path);
    node_status_parse(json_str(ev->detail, "status", ""), &i->status);
    i->started_ms = json_int(ev->detail, "started", ev->wall_ms);
    i->duration_ms = json_int(ev->detail, "duration_ms", 0);
    usage_from_json(json_object_get(ev->detail, "usage"), &i->usage);
    set_text(&i->note, json_str(ev->detail, "error", NULL));
    set_text(&i->agent, json_str(ev->detail, "agent", NULL));
    say(p, i);
}

static void
step_started(struct progress *p, const struct run_event *ev)
{
    struct item *i = item_near(p, ev->path);
    if (!i)
        return;
    AUTO(freep)
    char *note =
        xasprintf("%s %s", json_str(ev->detail, "type", ""), json_str(ev->detail, "target", ""));
    set_text(&i->note, note);
}

static void
step_ended(struct progress *p, const struct run_event *ev)
{
    struct item *i = item_near(p, ev->path);
    struct usage u;
    if (!i || i->status != NODE_RUNNING)
        return;
    usage_from_json(json_object_get(ev->detail, "usage"), &u);
    usage_add(&i->usage, &u);
}

static void
retrying(struct progress *p, const struct run_event *ev)
{
    struct item *i = item_near(p, ev->path);
    AUTO(str_fini) struct str wait = STR_INIT;
    if (!i)
        return;
    i->retries++;
    duration_add(&wait, json_int(ev->detail, "delay_ms", 0));
    AUTO(freep)
    char *note = xasprintf("again in %s: %s", str_c(&wait), json_str(ev->detail, "error", ""));
    set_text(&i->note, note);
    say(p, i);
}

/* For a time, a signal or a person: the node says what for. */
static void
waits(struct progress *p, const struct run_event *ev)
{
    struct item *i = item_near(p, ev->path);
    const char *signal = json_str(ev->detail, "signal", NULL);
    char iso[32];
    if (!i)
        return;
    AUTO(str_fini) struct str note = STR_INIT;
    if (strcmp(ev->name, EVENT_ASKED) == 0)
        str_addf(&note, "asks: %s", json_str(ev->detail, "prompt", ""));
    else if (signal)
        str_addf(&note, "waits for the signal '%s'", signal);
    if (json_int(ev->detail, "until", 0)) {
        time_iso(json_int(ev->detail, "until", 0), iso);
        str_addf(&note, "%s until %s", note.len ? "," : "waits", iso);
    }
    set_text(&i->note, str_c(&note));
    say(p, i);
}

static void
compensating(struct progress *p, const struct run_event *ev)
{
    const char *error = json_str(ev->detail, "error", "");
    AUTO(str_fini) struct str line = STR_INIT;
    if (p->opts.live)
        return;
    str_add(&line, *ev->path ? "undoing what was done in " : "undoing what was done");
    printable_add(&line, ev->path, strlen(ev->path));
    str_addf(&line, " (%s)%s", json_str(ev->detail, "reason", ""), *error ? ": " : "");
    printable_add(&line, error, strlen(error));
    fprintf(p->opts.out, "%s\n", str_c(&line));
    fflush(p->opts.out);
}

static void
chunk(struct progress *p, const struct run_event *ev)
{
    struct item *i = item_near(p, ev->path);
    if (!i)
        return;
    if (strcmp(json_str(ev->detail, "kind", "text"), "reset") == 0) {
        str_reset(&i->tail);
        return;
    }
    str_addn(&i->tail, ev->text, ev->text_len);
    if (i->tail.len > 4 * TAIL_BYTES)
        str_cut(&i->tail, i->tail.len - TAIL_BYTES);
}

/* ---- a foreach over a file ------------------------------------------------- */

static void
goes_on(struct progress *p, const struct run_event *ev)
{
    struct item *i = item_at(p, ev->path);
    const int64_t all = json_int(ev->detail, "all", 0);
    if (!i->member) {
        i->member = xasprintf("%s/%s[", ev->path, json_str(ev->detail, "member", ""));
        vec_push(&p->streams, i);
    }
    if (i->status == NODE_PENDING) { /* it began in a former life */
        i->status = NODE_RUNNING;
        i->started_ms = ev->wall_ms;
    }
    i->completed = json_int(ev->detail, "completed", 0);
    i->failed = json_int(ev->detail, "failed", 0);
    i->percent =
        all > 0 ? (int64_t)((double)json_int(ev->detail, "read", 0) * 100 / (double)all) : 100;
    if (p->now_ms - i->said_ms < SAY_EVERY_MS)
        return;
    i->said_ms = p->now_ms;
    say(p, i);
}

/* Of one of very many items, which have no lines of their own: what follows its number's begin. */
static const char *
of_item(struct progress *p, const char *path)
{
    vec_each (&p->streams, i) {
        if (str_starts(path, (*i)->member))
            return path + strlen((*i)->member);
    }
    return NULL;
}

/* Those that failed are told, as far as there are events of them. */
static void
item_event(struct progress *p, const struct run_event *ev, const char *number)
{
    if (strcmp(ev->name, EVENT_STEP_COMPLETED) == 0 || strcmp(ev->name, EVENT_STEP_FAILED) == 0)
        step_ended(p, ev);
    else if (strcmp(ev->name, EVENT_ASKED) == 0)
        waits(p, ev);
    else if (strcmp(ev->name, EVENT_NODE_FAILED) == 0 && !strchr(number, '/')) {
        struct item failed = {.path = (char *)(uintptr_t)ev->path,
                              .status = NODE_FAILED,
                              .note = (char *)(uintptr_t)json_str(ev->detail, "error", "")};
        say(p, &failed);
    }
}

void
progress_event(struct progress *p, const struct run_event *ev)
{
    static const struct {
        const char *name;
        void (*fn)(struct progress *p, const struct run_event *ev);
    } known[] = {{EVENT_AGENT_CHUNK, chunk},
                 {EVENT_NODE_STARTED, node_started},
                 {EVENT_NODE_COMPLETED, node_ended},
                 {EVENT_NODE_FAILED, node_ended},
                 {EVENT_NODE_SKIPPED, node_ended},
                 {EVENT_NODE_CANCELLED, node_ended},
                 {EVENT_STEP_STARTED, step_started},
                 {EVENT_STEP_COMPLETED, step_ended},
                 {EVENT_STEP_FAILED, step_ended},
                 {EVENT_NODE_RETRYING, retrying},
                 {EVENT_ASKED, waits},
                 {EVENT_WAIT_STARTED, waits},
                 {EVENT_NODE_PROGRESS, goes_on},
                 {EVENT_RUN_COMPENSATING, compensating}};
    p->now_ms = MAX(p->now_ms, ev->wall_ms);
    if (strcmp(ev->name, EVENT_RUN_STARTED) == 0 || strcmp(ev->name, EVENT_RUN_RESUMED) == 0) {
        p->started_ms = ev->wall_ms;
        const char *workflow = json_str(ev->detail, "workflow", "run");
        struct str title = STR_INIT;
        printable_add(&title, workflow, strlen(workflow));
        str_addf(&title, " %s", ev->run);
        free(p->title);
        p->title = str_steal(&title);
        if (!p->opts.live) {
            fprintf(p->opts.out, "%s %s\n",
                    strcmp(ev->name, EVENT_RUN_STARTED) == 0 ? "started" : "resumed", p->title);
            fflush(p->opts.out);
        }
    }
    const char *number = of_item(p, ev->path);
    if (number)
        item_event(p, ev, number);
    for (size_t i = 0; i < COUNT(known) && !number; i++) {
        if (strcmp(known[i].name, ev->name) == 0)
            known[i].fn(p, ev);
    }
    changed(p, strcmp(ev->name, EVENT_AGENT_CHUNK) != 0);
}

void
progress_tick(struct progress *p, int64_t wall_ms)
{
    p->now_ms = MAX(p->now_ms, wall_ms);
    changed(p, false);
}

void
progress_finish(struct progress *p)
{
    if (p->opts.live)
        draw(p);
}

void
event_line(const struct run_event *ev, struct str *to)
{
    char iso[32];
    time_iso(ev->wall_ms, iso);
    json_t *line = json_pack("{ss ss ss ss}", "time", iso, "event", ev->name, "run", ev->run,
                             "path", ev->path);
    if (ev->seq)
        json_object_set_new(line, "seq", json_integer(ev->seq));
    if (ev->detail)
        json_object_set(line, "detail", (json_t *)(uintptr_t)ev->detail);
    if (ev->text_len)
        json_object_set_new(line, "text", json_string_lossy(ev->text, ev->text_len));
    json_write(to, line);
    str_addc(to, '\n');
    json_decref(line);
}
