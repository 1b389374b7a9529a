/* itemstream_test.c - a foreach over files that are not as they were, or cannot be written, and
 * over so many items that lines wait. */
#include "engine/enginetest.h"
#include "engine/fork.h"
#include "rt/fiber.h"
#include "rt/file.h"
#include "rt/rt.h"
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

/* Takes 10 ms; a message that is a number makes a reply so long. */
static struct err *
slow_run(struct host *h, const struct task *t, struct reply *ret)
{
    AUTO(str_fini) struct str text = STR_INIT;
    (void)h;
    PASS(fiber_sleep(10));
    for (long n = strtol(t->message, NULL, 10); n > 0; n--)
        str_addc(&text, 'x');
    reply_set_text(ret, str_c(&text), text.len);
    return NULL;
}
const struct kind slow_kind = {.name = "slow", .roles = ROLE_AGENT, .run = slow_run};

/* clang-format off */
#define NODE(more) "{\"nodes\":[{\"id\":\"each\",\"type\":\"foreach\"," more "}]}"
#define DOC \
    "{\"agents\":{\"say\":{\"type\":\"echo\"},\"slow\":{\"type\":\"slow\"}},\"workflows\":{" \
    "\"slowly\":" NODE("\"items\":{\"file\":\"n.txt\"},\"agent\":\"slow\",\"concurrency\":1," \
                       "\"results\":\"out.jsonl\"") "," \
    "\"folder\":" NODE("\"items\":{\"file\":\"in\"},\"agent\":\"slow\",\"concurrency\":1") "," \
    "\"many\":" NODE("\"items\":{\"file\":\"many.dat\",\"format\":\"text\"},\"agent\":\"slow\"," \
                     "\"input\":\"x\",\"results\":\"out.jsonl\"") "," \
    "\"table\":" NODE("\"items\":{\"file\":\"a.CSV\",\"separator\":\";\"},\"agent\":\"say\"," \
                      "\"results\":\"out.jsonl\"") "," \
    "\"odd\":" NODE("\"items\":{\"file\":\"many.dat\"},\"agent\":\"say\"") "," \
    "\"nowhere\":" NODE("\"items\":{\"file\":\"n.txt\"},\"agent\":\"say\"," \
                        "\"results\":\"{{ 1 }}\"") "}}"
/* clang-format on */

static void
put(const struct scene *s, const char *name, const char *text)
{
    AUTO(freep) char *path = path_join(s->dir, name);
    AUTO(freep) char *folder = path_dir(path);
    err_drop(dir_make(folder, 0700));
    err_drop(file_write(path, text, strlen(text), 0600));
}

/* Begins and is interrupted after a while; returns its id. */
static char *
left(struct scene *s, const char *workflow, int64_t after_ms)
{
    struct run *r = begin(s, workflow, "x");
    err_drop(fiber_sleep(after_ms));
    char *id = xstrdup(run_id(r));
    run_interrupt(r);
    note(s, "left", run_wait(r, DEADLINE_NONE));
    run_unref(r);
    return id;
}

static void
again(struct scene *s, const char *id)
{
    struct run *r = NULL;
    struct err *e = engine_resume(s->e, id, NULL, &r);
    if (e)
        note(s, "resume", e);
    finish(s, r);
}

/* How many lines there are, and of how many items. */
static void
results(struct scene *s)
{
    AUTO(freep) char *path = path_join(s->dir, "out.jsonl");
    AUTO(str_fini) struct str text = STR_INIT;
    AUTO(json_freep) json_t *seen = json_object();
    size_t lines = 0;
    err_drop(file_read(path, (size_t)64 << 20, &text));
    for (char *save, *line = strtok_r(text.p, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save)) {
        const size_t n = strcspn(line, ",");
        line[n] = '\0';
        json_object_set_new(seen, line, json_true());
        lines++;
    }
    str_addf(&s->out, "%zu lines of %zu items\n", lines, json_object_size(seen));
}

/* ---- files that change ------------------------------------------------------------------------
 */

static void
changes(struct scene *s)
{
    put(s, "n.txt", "1\n2\n3\n4\n");
    AUTO(freep) char *id = left(s, "slowly", 25);
    put(s, "n.txt", "1\n2\n3\n4\n5\n");
    again(s, id);
    put(s, "n.txt", "1\n2\n3\n5\n");
    again(s, id);
    AUTO(freep) char *path = path_join(s->dir, "n.txt");
    if (unlink(path) == 0)
        again(s, id);
    results(s);
}

static void
changed(void **state)
{
    (void)state;
    scene_in_folder(DOC, changes,
                    "left: ok\n"
                    "wait: ok\n"
                    "waiting - ! 'DIR/n.txt' has changed: it has 10 bytes, and had 8 when the run "
                    "began; mend that and resume, or start anew\n"
                    "  each running - ! -\n"
                    "  each/slow[2] running - ! -\n"
                    "wait: ok\n"
                    "waiting - ! 'DIR/n.txt' has changed: it was written to after the run began; "
                    "mend that and resume, or start anew\n"
                    "  each running - ! -\n"
                    "  each/slow[2] running - ! -\n"
                    "wait: ok\n"
                    "waiting - ! opening 'DIR/n.txt': No such file or directory; mend that and "
                    "resume, or start anew\n"
                    "  each running - ! -\n"
                    "  each/slow[2] running - ! -\n"
                    "0 lines of 0 items\n");
}

static void
folders(struct scene *s)
{
    put(s, "in/a", "1");
    put(s, "in/b", "2");
    put(s, "in/\xff", "3");
    put(s, "in/d", "3");
    AUTO(freep) char *id = left(s, "folder", 15);
    put(s, "in/c", "1");
    again(s, id);
    AUTO(freep) char *path = path_join(s->dir, "in/c");
    if (unlink(path) == 0)
        again(s, id);
}

static void
folder(void **state)
{
    (void)state;
    scene_in_folder(DOC, folders,
                    "left: ok\n"
                    "wait: ok\n"
                    "waiting - ! 'DIR/in' has changed: its files are others: 5 now, 4 when the run "
                    "began; mend that and resume, or start anew\n"
                    "  each running - ! -\n"
                    "  each/slow[1] running - ! -\n"
                    "wait: ok\n"
                    "failed - ! node 'each': node 'slow[3]': the name of a file in 'in' is not "
                    "UTF-8: '\xef\xbf\xbd'\n"
                    "  each failed - ! node 'slow[3]': the name of a file in 'in' is not UTF-8: "
                    "'\xef\xbf\xbd'\n");
}

/* ---- results ----------------------------------------------------------------------------------
 */

static void
many_lines(const struct scene *s, const char *name, int n, int from)
{
    AUTO(str_fini) struct str text = STR_INIT;
    for (int i = 0; i < n; i++)
        str_addf(&text, "%d\n", from + i);
    put(s, name, str_c(&text));
}

/* Some thousand items that take no time, so that cursors are recorded; left in between. */
static void
cursors(struct scene *s)
{
    many_lines(s, "many.dat", 9000, 0);
    AUTO(freep) char *id = left(s, "many", 5000);
    again(s, id);
    results(s);
}

static void
cursor(void **state)
{
    (void)state;
    scene_in_folder(
        DOC, cursors,
        "left: ok\n"
        "wait: ok\n"
        "completed {\"items\":9000,\"completed\":9000,\"failed\":0,\"results\":\"DIR/out.jsonl\"} "
        "! -\n"
        "  each completed "
        "{\"items\":9000,\"completed\":9000,\"failed\":0,\"results\":\"DIR/out.jsonl\"} ! -\n"
        "9000 lines of 9000 items\n");
}

/* Lines that were there are gone: what is recorded as written is not. */
static void
lines_lost(struct scene *s)
{
    many_lines(s, "many.dat", 9000, 0);
    AUTO(freep) char *id = left(s, "many", 5000);
    put(s, "out.jsonl", "");
    struct run *r = NULL;
    AUTO(json_freep) json_t *doc = NULL;
    note(s, "resume", engine_resume(s->e, id, NULL, &r));
    if (!r)
        return;
    note(s, "wait", run_wait(r, DEADLINE_NONE));
    note(s, "document", run_document(r, false, &doc));
    str_addf(&s->out, "%s: %s\n", json_str(doc, "status", ""), json_str(doc, "waiting", ""));
    run_unref(r);
    results(s);
}

static void
lost(void **state)
{
    (void)state;
    scene_in_folder(DOC, lines_lost,
                    "left: ok\n"
                    "resume: ok\n"
                    "wait: ok\n"
                    "document: ok\n"
                    "waiting: 'DIR/out.jsonl' has 0 bytes, and 106893 had been written to it; mend "
                    "that and resume, or start anew\n"
                    "0 lines of 0 items\n");
}

/* One item anew; the file of results is written anew with all of them. */
static void
fork_one(struct scene *s)
{
    AUTO(json_freep) json_t *look = NULL;
    char forked[RUN_ID_LEN];
    many_lines(s, "n.txt", 4, 1);
    struct run *r = begin(s, "slowly", "x");
    AUTO(freep) char *id = xstrdup(run_id(r));
    finish(s, r);
    const struct fork_request q = {.run = id, .from = "each/slow[1]"};
    note(s, "look", engine_fork_look(s->e, &q, &look));
    json_object_del(look, "run");
    AUTO(freep) char *text = json_text(look);
    str_addf(&s->out, "%s\n", text);
    struct err *e = engine_fork(s->e, &q, forked);
    note(s, "fork", e);
    if (!e)
        again(s, forked);
    results(s);
}

static void
forked(void **state)
{
    (void)state;
    scene_in_folder(
        DOC, fork_one,
        "wait: ok\n"
        "completed {\"items\":4,\"completed\":4,\"failed\":0,\"results\":\"DIR/out.jsonl\"} ! -\n"
        "  each completed {\"items\":4,\"completed\":4,\"failed\":0,\"results\":\"DIR/out.jsonl\"} "
        "! -\n"
        "look: ok\n"
        "{\"from\":\"each/slow[1]\",\"taken\":3,\"anew\":[\"each/slow[1]\"],\"again\":[{\"path\":"
        "\"each\",\"target\":\"DIR/out.jsonl\"}]}\n"
        "fork: ok\n"
        "wait: ok\n"
        "completed {\"items\":4,\"completed\":4,\"failed\":0,\"results\":\"DIR/out.jsonl\"} ! -\n"
        "  each completed {\"items\":4,\"completed\":4,\"failed\":0,\"results\":\"DIR/out.jsonl\"} "
        "! -\n"
        "4 lines of 4 items\n");
}

/* Replies that are larger than what may wait for its commit. */
static void
large_replies(struct scene *s)
{
    many_lines(s, "n.txt", 14, 1000000);
    finish(s, begin(s, "slowly", "x"));
    results(s);
}

static void
large(void **state)
{
    (void)state;
    scene_in_folder(
        DOC, large_replies,
        "wait: ok\n"
        "completed {\"items\":14,\"completed\":14,\"failed\":0,\"results\":\"DIR/out.jsonl\"} ! -\n"
        "  each completed "
        "{\"items\":14,\"completed\":14,\"failed\":0,\"results\":\"DIR/out.jsonl\"} ! -\n"
        "14 lines of 14 items\n");
}

/* No room for the results: the run waits, and what is done stays done. */
static void
full_disk(struct scene *s)
{
    struct rlimit was, little;
    many_lines(s, "n.txt", 6, 100000);
    if (getrlimit(RLIMIT_FSIZE, &was) != 0)
        return;
    little = was;
    little.rlim_cur = 150000;
    void (*before)(int) = signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &little);
    struct run *r = begin(s, "slowly", "x");
    AUTO(freep) char *id = xstrdup(run_id(r));
    finish(s, r);
    setrlimit(RLIMIT_FSIZE, &was);
    signal(SIGXFSZ, before);
    again(s, id);
    results(s);
}

static void
full(void **state)
{
    (void)state;
    scene_in_folder(
        DOC, full_disk,
        "wait: ok\n"
        "waiting - ! writing 'DIR/out.jsonl': File too large; mend that and resume, or start anew\n"
        "  each running - ! -\n"
        "wait: ok\n"
        "completed {\"items\":6,\"completed\":6,\"failed\":0,\"results\":\"DIR/out.jsonl\"} ! -\n"
        "  each completed {\"items\":6,\"completed\":6,\"failed\":0,\"results\":\"DIR/out.jsonl\"} "
        "! -\n"
        "6 lines of 6 items\n");
}

/* ---- what is meant ----------------------------------------------------------------------------
 */

static void
formats(struct scene *s)
{
    put(s, "a.CSV", "a;b\n1;2,3\n");
    put(s, "many.dat", "1\n");
    put(s, "n.txt", "1\n");
    finish(s, begin(s, "table", "x"));
    finish(s, begin(s, "odd", "x"));
    finish(s, begin(s, "nowhere", "x"));
}

static void
format(void **state)
{
    (void)state;
    scene_in_folder(
        DOC, formats,
        "wait: ok\n"
        "completed {\"items\":1,\"completed\":1,\"failed\":0,\"results\":\"DIR/out.jsonl\"} ! -\n"
        "  each completed {\"items\":1,\"completed\":1,\"failed\":0,\"results\":\"DIR/out.jsonl\"} "
        "! -\n"
        "wait: ok\n"
        "failed - ! node 'each': its items: what is in 'many.dat'? Its name ends in none of .jsonl "
        ".ndjson .csv .tsv .txt; say `format`\n"
        "  each failed - ! its items: what is in 'many.dat'? Its name ends in none of .jsonl "
        ".ndjson .csv .tsv .txt; say `format`\n"
        "wait: ok\n"
        "failed - ! node 'each': its results: a file name is expected\n"
        "  each failed - ! its results: a file name is expected\n");
}

TESTS(itemstream_test, cmocka_unit_test(changed), cmocka_unit_test(folder),
      cmocka_unit_test(cursor), cmocka_unit_test(lost), cmocka_unit_test(forked),
      cmocka_unit_test(large), cmocka_unit_test(full), cmocka_unit_test(format))
