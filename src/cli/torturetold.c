/* torturetold.c - what the worker of `tutti torture` told before it was killed.
 *
 *   S run type path                  a step or a node begins
 *   D run seq commits name path      a record is in the journal: its commit is over */
#include "cli/torture.h"
#include <stdlib.h>
#include <string.h>

#define EXAMPLES_MAX 20

void
told_init(struct told *t)
{
    *t = (struct told){.runs = map_new(), .steps = map_new(), .examples = json_array()};
}

void
told_fini(struct told *t)
{
    void *value;
    for (size_t i = 0; map_next(t->runs, &i, NULL, &value);) {
        struct told_run *r = value;
        vec_each (&r->records, rec) {
            free(rec->name);
            free(rec->path);
        }
        vec_fini(&r->records);
        free(r);
    }
    for (size_t i = 0; map_next(t->steps, &i, NULL, &value);)
        free(value);
    map_free(t->runs);
    map_free(t->steps);
    json_decref(t->examples);
}

void
told_example(struct told *t, const char *fmt, ...)
{
    AUTO(str_fini) struct str s = STR_INIT;
    va_list ap;
    if (json_array_size(t->examples) >= EXAMPLES_MAX)
        return;
    va_start(ap, fmt);
    str_addv(&s, fmt, ap);
    va_end(ap);
    json_array_append_new(t->examples, json_string_lossy(str_c(&s), s.len));
}

static struct told_step *
step_of(struct told *t, const char *run, const char *path)
{
    AUTO(freep) char *name = xasprintf("%s %s", run, path);
    struct told_step *s = map_get(t->steps, name);
    if (!s) {
        s = xcalloc(1, sizeof *s);
        map_put(t->steps, name, s);
    }
    return s;
}

static void
begun(struct told *t, unsigned life, const char *run, const char *type, const char *path)
{
    struct told_step *s = step_of(t, run, path);
    s->starts++;
    if (strcmp(type, "model") == 0) {
        s->model = true;
        t->model_calls++;
        t->open_models++;
    }
    if (!s->done_in_life)
        return;
    t->again++;
    told_example(t, "run %s: '%s' begins again in life %u; its end was acknowledged in life %u",
                 run, path, life, s->done_in_life);
}

static bool
ends(const char *name)
{
    static const char *const names[] = {EVENT_STEP_COMPLETED, EVENT_STEP_FAILED,
                                        EVENT_NODE_COMPLETED, EVENT_NODE_FAILED};
    for (size_t i = 0; i < COUNT(names); i++) {
        if (strcmp(names[i], name) == 0)
            return true;
    }
    return false;
}

static void
recorded(struct told *t, unsigned life, const char *run, struct told_record record)
{
    struct told_run *r = map_get(t->runs, run);
    if (!r) {
        r = xcalloc(1, sizeof *r);
        map_put(t->runs, run, r);
    }
    vec_push(&r->records, record);
    t->acknowledged++;
    t->parked += strcmp(record.name, EVENT_RUN_WAITING) == 0;
    if (!ends(record.name))
        return;
    struct told_step *s = step_of(t, run, record.path);
    s->done_in_life = life;
    t->steps_ended += str_starts(record.name, "step.");
    if (s->model)
        t->open_models--;
}

void
told_line(struct told *t, unsigned life, char *line)
{
    char *rest = line, *word[5] = {0};
    bool record = line[0] == 'D';
    size_t n = 0;
    for (; n < (record ? 5 : 3); n++)
        word[n] = strsep(&rest, " ");
    if (!rest) {
        told_example(t, "the worker wrote '%s'", line);
        t->again++; /* never seen: better a failed check than a line overlooked */
        return;
    }
    if (!record) {
        begun(t, life, word[1], word[2], rest);
        return;
    }
    t->life_commits = strtoll(word[3], NULL, 10);
    recorded(t, life, word[1],
             (struct told_record){strtoll(word[2], NULL, 10), xstrdup(word[4]), xstrdup(rest)});
}

void
told_life_over(struct told *t)
{
    t->model_cut += t->open_models;
    t->open_models = 0;
    t->commits += t->life_commits;
    t->life_commits = 0;
}
