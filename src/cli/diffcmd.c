/* diffcmd.c - `tutti runs diff`: what differs between two runs. */
#include "app/rundiff.h"
#include "base/printable.h"
#include "base/units.h"
#include "cli/runs.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_COLUMNS 60
#define DIFF_LINES    40 /* of one output; --json has all */

static void
value_add(struct str *to, const json_t *value)
{
    AUTO(freep) char *text = value && !json_is_null(value) ? json_text(value) : xstrdup("nothing");
    printable_fit(to, text, VALUE_COLUMNS, false);
}

static void
changes_print(const char *title, const json_t *changes)
{
    const json_t *c;
    size_t i;
    if (json_array_size(changes))
        print_shown(stdout, "%s\n", title);
    json_array_foreach (changes, i, c) {
        AUTO(str_fini) struct str s = STR_INIT;
        value_add(&s, json_object_get(c, "a"));
        str_add(&s, " -> ");
        value_add(&s, json_object_get(c, "b"));
        print_shown(stdout, "  %s: %s\n", json_str(c, "path", ""), str_c(&s));
    }
}

static void
names_print(char mark, const json_t *names)
{
    const json_t *name;
    size_t i;
    json_array_foreach (names, i, name)
        print_shown(stdout, "  %c %s\n", mark, json_string_value(name));
}

static void
pair_add(struct str *to, const char *key, const json_t *pair)
{
    const json_t *a = json_object_get(pair, "a"), *b = json_object_get(pair, "b");
    if (!pair || json_equal(a, b))
        return;
    str_addf(to, "  %s ", key);
    if (strcmp(key, "took") == 0) {
        duration_add(to, json_integer_value(a));
        str_add(to, " -> ");
        duration_add(to, json_integer_value(b));
        return;
    }
    value_add(to, a);
    str_add(to, " -> ");
    value_add(to, b);
}

static void
diff_print(const json_t *n)
{
    const char *text = json_str(n, "diff", NULL);
    size_t lines = 0;
    if (!json_object_get(n, "output"))
        return;
    if (!text)
        print_shown(stdout, "      the outputs differ in too much to be compared line by line\n");
    for (const char *p = text; p && *p; lines++) {
        const size_t len = strcspn(p, "\n");
        if (lines < DIFF_LINES) {
            AUTO(str_fini) struct str s = STR_INIT;
            printable_add(&s, p, len);
            print_shown(stdout, "      %s\n", str_c(&s));
        }
        p += len + (p[len] == '\n');
    }
    if (lines > DIFF_LINES)
        print_shown(stdout, "      ... and %zu more lines; --json has them all\n",
                    lines - DIFF_LINES);
}

static void
node_print(const char *name, const json_t *n)
{
    AUTO(str_fini) struct str s = STR_INIT;
    const char *in = json_str(n, "in", "both");
    const char mark = strcmp(in, "a") == 0            ? '-'
                      : strcmp(in, "b") == 0          ? '+'
                      : json_bool(n, "differs", true) ? '~'
                                                      : '=';
    pair_add(&s, "status", json_object_get(n, "status"));
    pair_add(&s, "agent", json_object_get(n, "agent"));
    pair_add(&s, "error", json_object_get(n, "error"));
    if (mark == '~' || mark == '=') {
        pair_add(&s, "took", json_object_get(n, "duration_ms"));
        pair_add(&s, "tokens", json_object_get(n, "tokens"));
        pair_add(&s, "usd", json_object_get(n, "cost_usd"));
    }
    print_shown(stdout, "  %c %s%s\n", mark, name, str_c(&s));
    if (mark == '~')
        diff_print(n);
}

static void
report_print(const json_t *r)
{
    const json_t *definition = json_object_get(r, "definition");
    const json_t *nodes = json_object_get(definition, "nodes"), *n;
    size_t i;
    print_shown(stdout, "a: %s\nb: %s\n", json_str(r, "a", ""), json_str(r, "b", ""));
    if (!json_bool(definition, "same", false)) {
        print_shown(stdout, "definition\n");
        names_print('+', json_object_get(nodes, "added"));
        names_print('-', json_object_get(nodes, "removed"));
        names_print('~', json_object_get(nodes, "changed"));
        changes_print("changed in it", json_object_get(definition, "changes"));
    }
    changes_print("inputs", json_object_get(r, "inputs"));
    print_shown(stdout, "nodes\n");
    json_array_foreach (json_object_get(r, "nodes"), i, n) {
        AUTO(str_fini) struct str path = STR_INIT;
        const char *text = json_str(n, "path", "");
        printable_add(&path, text, strlen(text));
        node_print(str_c(&path), n);
    }
    if (json_int(r, "left_out", 0))
        print_shown(stdout, "  ... and %lld more nodes that differ\n",
                    (long long)json_int(r, "left_out", 0));
    print_shown(stdout, "  %lld nodes are the same\n", (long long)json_int(r, "nodes_same", 0));
    print_shown(stdout, "run\n");
    node_print("the whole", json_object_get(r, "run"));
    print_shown(stdout, "%s\n", json_bool(r, "same", false) ? "the same" : "they differ");
}

static struct err *
diff(struct app *a, void *arg)
{
    struct asked *q = arg;
    AUTO(json_freep) json_t *report = NULL;
    PASS(app_run_diff(a, q->id, q->name, &report));
    if (q->json)
        print_json(report);
    else
        report_print(report);
    q->differs = !json_bool(report, "same", false);
    return NULL;
}

int
runs_diff(struct asked *q, const struct watch_opts *watch)
{
    (void)watch;
    if (!q->name)
        return usage_error(&cmd_runs, "diff needs the ids of two runs");
    AUTO(freep) char *dir = app_store_dir(q->store, NULL);
    int code = with_app(
        &(struct with_app){.opts = {.store_dir = dir, .read_only = true}, .fn = diff, .arg = q});
    return code ? code : q->differs ? TUTTI_FAILED : TUTTI_OK;
}
