/* resultfile.c - lines that wait for their commit, and the file behind them. */
#include "engine/stream/resultfile.h"
#include "engine/stream/source.h"
#include "rt/datafile.h"
#include <stdlib.h>
#include <string.h>

#define WRITE_BYTES   ((size_t)64 << 10) /* written at once; fewer when they are a second old */
#define WRITE_MS      1000
#define CURSOR_LINES  2000
#define CURSOR_BYTES  ((size_t)4 << 20)
#define WAITING_BYTES ((size_t)8 << 20) /* of lines that wait for their commit */

struct waiting_line {
    uint64_t number; /* of its record, as run->appended counts */
    int64_t index;
    char *text;
    size_t len;
};
struct resultfile {
    struct run *run;
    struct viewstream *known; /* its `covered` and `bytes` are of what is written */
    struct datafile *file;
    VEC(struct waiting_line) waiting; /* from head on; by number */
    size_t head, waiting_bytes;
    struct str out;      /* committed, not written */
    size_t lines, bytes; /* since the last cursor */
    int64_t written_ms;
    bool writing;
    struct waitq written;
    struct err *broken;
};

static void
line_make(struct str *to, int64_t index, const json_t *output, const json_t *error)
{
    str_addf(to, "{\"index\":%lld,", (long long)index + 1);
    str_add(to, error ? "\"error\":" : "\"output\":");
    json_write(to, error ? error : output);
    str_add(to, "}\n");
}

static void
line_take(struct resultfile *f, int64_t index, const char *text, size_t n)
{
    str_addn(&f->out, text, n);
    doneset_add(&f->known->covered, index);
    f->lines++;
}

/* ---- opening --------------------------------------------------------------- */

/* What a former life recorded and did not write, or not so that it is known. */
static struct err *
lines_again(struct resultfile *f)
{
    AUTO(str_fini) struct str line = STR_INIT;
    vec_each (&f->known->unwritten, u) {
        AUTO(json_freep) json_t *output = NULL;
        AUTO(json_freep) json_t *error = NULL;
        const struct json_want want[] = {{"output", &output}, {"error", &error}};
        const struct record rec = {.body = u->body, .body_len = u->len};
        PASS(record_pick(&rec, want, COUNT(want)));
        str_reset(&line);
        line_make(&line, u->index, output, u->failed ? error : NULL);
        line_take(f, u->index, line.p, line.len);
    }
    viewstream_written(f->known);
    return NULL;
}

struct err *
resultfile_open(struct run *r, struct viewstream *known, struct resultfile **ret_file)
{
    const char *path = json_str(known->opened, "results", "");
    struct resultfile *f = xcalloc(1, sizeof *f);
    f->run = r;
    f->known = known;
    f->written_ms = rt_now_ms();
    struct err *e = datafile_append_to(path, known->bytes, &f->file);
    if (!e)
        e = lines_again(f);
    if (e) {
        resultfile_free(f);
        return e;
    }
    *ret_file = f;
    return NULL;
}

void
resultfile_free(struct resultfile *f)
{
    if (!f)
        return;
    for (size_t i = f->head; i < f->waiting.len; i++)
        free(f->waiting.at[i].text);
    vec_fini(&f->waiting);
    str_fini(&f->out);
    datafile_free(f->file);
    err_free(f->broken);
    free(f);
}

/* ---- lines ----------------------------------------------------------------- */

void
resultfile_add(struct resultfile *f, int64_t index, const struct reply *reply,
               const struct err *error)
{
    const struct engine_opts *opts = &f->run->engine->opts;
    AUTO(freep) char *text = error ? err_text(error) : NULL;
    AUTO(json_freep) json_t *said = text ? json_string_lossy(text, strlen(text)) : NULL;
    struct str line = STR_INIT;
    line_make(&line, index, reply->output, said);
    if (opts->redact)
        opts->redact(opts->ctx, &line);
    struct waiting_line w = {.number = f->run->appended, .index = index, .len = line.len};
    w.text = str_steal(&line);
    f->waiting_bytes += w.len;
    vec_push(&f->waiting, w);
}

static void
committed_take(struct resultfile *f)
{
    while (f->head < f->waiting.len && f->waiting.at[f->head].number <= f->run->committed) {
        struct waiting_line *w = &f->waiting.at[f->head++];
        line_take(f, w->index, w->text, w->len);
        f->waiting_bytes -= w->len;
        free(w->text);
    }
    if (f->head < 1024 || f->head * 2 < f->waiting.len)
        return;
    f->waiting.len -= f->head;
    memmove(f->waiting.at, f->waiting.at + f->head, f->waiting.len * sizeof *f->waiting.at);
    f->head = 0;
}

static void
cursor_record(struct resultfile *f)
{
    f->lines = f->bytes = 0;
    run_append_soon(f->run, REC_STREAM_CURSOR, f->known->path,
                    json_pack("{so sI}", "written", doneset_to_json(&f->known->covered), "bytes",
                              f->known->bytes));
}

/* What is taken out meanwhile goes into the next piece; a cursor is of what has been written. */
static struct err *
out_write(struct resultfile *f, bool all)
{
    const bool cursor = f->lines >= CURSOR_LINES || f->bytes + f->out.len >= CURSOR_BYTES;
    const bool late = f->out.len && rt_now_ms() - f->written_ms >= WRITE_MS;
    if (!all && !cursor && !late && f->out.len < WRITE_BYTES)
        return NULL;
    PASS(datafile_add(f->file, f->out.p, f->out.len, all || cursor));
    f->known->bytes += (int64_t)f->out.len;
    f->bytes += f->out.len;
    str_reset(&f->out);
    f->written_ms = rt_now_ms();
    if (cursor && !all)
        cursor_record(f);
    return NULL;
}

static struct err *
broken_result(struct resultfile *f, struct err *e)
{
    if (e)
        f->broken = source_lost(e);
    if (!f->broken)
        return NULL;
    AUTO(freep) char *text = err_text(f->broken);
    return FAIL(ERR_PARKED, "%s", text);
}

struct err *
resultfile_pump(struct resultfile *f)
{
    while (f->writing && f->waiting_bytes > WAITING_BYTES)
        PASS(waitq_wait(&f->written, DEADLINE_NONE));
    if (f->waiting_bytes > WAITING_BYTES)
        PASS(run_flush(f->run));
    if (f->writing || f->broken)
        return broken_result(f, NULL);
    f->writing = true;
    committed_take(f);
    struct err *e = out_write(f, false);
    f->writing = false;
    waitq_wake_all(&f->written);
    return broken_result(f, e);
}

struct err *
resultfile_finish(struct resultfile *f)
{
    PASS(run_flush(f->run));
    while (f->writing)
        PASS(waitq_wait(&f->written, DEADLINE_NONE));
    if (f->broken)
        return broken_result(f, NULL);
    f->writing = true;
    committed_take(f);
    struct err *e = out_write(f, true);
    f->writing = false;
    return broken_result(f, e);
}
