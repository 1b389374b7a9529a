/* stdio.c - one JSON message a line over a child's stdin and stdout.
 *
 * Reading never depends on writing: a writer fiber of its own hands queued messages to the pipe, so
 * a caller that leaves cannot cut a line in half, many calls share one system call, and a server
 * that reads nothing until its output is read is no deadlock. */
#include "base/log.h"
#include "mcp/transport.h"
#include "rt/fiber.h"
#include "rt/proc.h"
#include "rt/rt.h"
#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define LAST_WORDS  ((size_t)400)     /* bytes of stderr that go into an error's text */
#define SAMPLE_MAX  ((size_t)120)     /* bytes kept of a line that is no message */
#define BUFFER_KEEP ((size_t)1 << 20) /* larger buffers are given back when empty */
#define STATUS_MS   1000 /* how long the exit status may come after the end of stdout */
#define DRAIN_MS    10   /* and the end of stderr after the exit status */

struct stdio {
    struct transport base;
    struct proc *proc;
    struct scope scope; /* of the writer */
    struct str in;      /* read; the current line starts at `at` and has no end before `seen` */
    size_t at, seen;
    struct str out;       /* to be written */
    size_t writing;       /* bytes the writer has taken and the kernel not */
    struct fiber *writer; /* while it waits for work */
    struct waitq room;
    struct scope *reading; /* of the reader, while it waits for more */
    bool in_ended, out_broken;
    bool deaf;              /* it reads no more, and lives on */
    unsigned garbage_lines; /* in a row */
    size_t garbage_bytes;   /* in a row */
    uint64_t garbage;       /* lines in all */
    char *sample;           /* the first of them, and why it is no message */
};

static struct stdio *
stdio_of(struct transport *t)
{
    return container_of(t, struct stdio, base);
}

/* ---- writing --------------------------------------------------------------- */

/* It does not read any more. When that was its end, its stdout ends too, and tells the story
 * better; when it lives on, nothing that is asked of it will be answered. */
static void
went_deaf(struct stdio *s)
{
    struct err *e = fiber_sleep(STATUS_MS);
    s->deaf = !e;
    if (s->deaf && s->reading)
        scope_cancel(s->reading);
    err_drop(e);
}

static void
writer_run(void *arg)
{
    struct stdio *s = arg;
    AUTO(str_fini) struct str batch = STR_INIT;
    struct err *e = NULL;
    while (!e) {
        if (!s->out.len) {
            s->writer = fiber_self();
            e = fiber_park(DEADLINE_NONE);
            s->writer = NULL;
            continue;
        }
        struct str spare = batch;
        batch = s->out;
        s->out = spare;
        str_reset(&s->out);
        s->writing = batch.len;
        e = proc_write(s->proc, batch.p, batch.len, DEADLINE_NONE);
        s->writing = 0;
        if (batch.cap > BUFFER_KEEP)
            str_fini(&batch);
        waitq_wake_all(&s->room);
    }
    err_drop(e);
    s->out_broken = true;
    waitq_wake_all(&s->room);
    went_deaf(s);
}

static bool
has_room(const struct stdio *s, size_t n)
{
    size_t queued = s->out.len + s->writing;
    return queued == 0 || queued + n <= STDIO_QUEUE_MAX;
}

static struct err *
stdio_send(struct transport *t, const struct transport_out *out, int64_t deadline_ms)
{
    struct stdio *s = stdio_of(t);
    assert(!memchr(out->text, '\n', out->len));
    while (!s->out_broken && !has_room(s, out->len)) {
        if (deadline_ms <= rt_now_ms())
            return FAIL(ERR_TIMEOUT, "it does not read its input");
        TRY(waitq_wait(&s->room, deadline_ms), "it does not read its input");
    }
    if (s->out_broken)
        return FAIL(ERR_TRANSIENT, "it has closed its input");
    str_addn(&s->out, out->text, out->len);
    str_addc(&s->out, '\n');
    if (s->writer)
        fiber_wake(s->writer);
    return NULL;
}

/* ---- what goes into error texts -------------------------------------------- */

/* One line out of many: line ends become " | ", other control characters blanks. */
static void
add_quoted(struct str *to, const char *p, size_t n)
{
    while (n && isspace((unsigned char)p[n - 1]))
        n--;
    str_addc(to, '\'');
    for (size_t i = 0; i < n; i++) {
        if (p[i] == '\n')
            str_add(to, " | ");
        else if (p[i] != '\r')
            str_addc(to, (unsigned char)p[i] < 0x20 || p[i] == 0x7f ? ' ' : p[i]);
    }
    str_addc(to, '\'');
}

static void
stdio_describe(struct transport *t, struct str *to)
{
    const struct stdio *s = stdio_of(t);
    const char *words = proc_stderr(s->proc);
    size_t n = strlen(words), skip = n > LAST_WORDS ? n - LAST_WORDS : 0;
    while (skip && ((unsigned char)words[skip] & 0xC0) == 0x80)
        skip++;
    if (s->garbage) {
        str_addf(to, "; %llu line%s on its stdout %s no message, the first: ",
                 (unsigned long long)s->garbage, s->garbage == 1 ? "" : "s",
                 s->garbage == 1 ? "was" : "were");
        add_quoted(to, s->sample, strlen(s->sample));
    }
    if (n) {
        str_add(to, "; its stderr ended: ");
        add_quoted(to, words + skip, n - skip);
    }
}

static struct err *
over(struct stdio *s, const char *what)
{
    AUTO(str_fini) struct str text = STR_INIT;
    str_add(&text, what);
    stdio_describe(&s->base, &text);
    return FAIL(ERR_TRANSIENT, "%s", str_c(&text));
}

/* stdout has ended. Why it has is known a little later: the exit status, then the last of stderr.
 */
static struct err *
over_by_end(struct stdio *s)
{
    int status;
    char what[80];
    struct err *e = proc_wait(s->proc, rt_after(STATUS_MS), &status);
    if (!e)
        e = fiber_sleep(DRAIN_MS);
    if (e && err_kind(e) == ERR_CANCELLED)
        return e;
    if (e)
        snprintf(what, sizeof what, "it closed its output and runs on");
    else if (status >= 256)
        snprintf(what, sizeof what, "it was ended by signal %d", status - 256);
    else
        snprintf(what, sizeof what, "it ended with status %d", status);
    err_free(e);
    return over(s, what);
}

/* ---- reading --------------------------------------------------------------- */

static struct err *
skip_bytes(struct stdio *s, size_t n)
{
    s->garbage_bytes += n;
    if (s->garbage_lines <= STDIO_GARBAGE_LINES_MAX && s->garbage_bytes <= STDIO_GARBAGE_MAX)
        return NULL;
    return over(s, "it writes something else than messages");
}

static struct err *
take_garbage(struct stdio *s, const char *line, size_t n, struct err *why)
{
    s->garbage++;
    s->garbage_lines++;
    if (!s->sample) {
        AUTO(str_fini) struct str text = STR_INIT;
        str_add_utf8(&text, line, utf8_floor(line, MIN(n, SAMPLE_MAX)));
        s->sample = str_steal(&text);
        AUTO(freep) char *reason = err_text(why);
        log_debug("mcp", "a line on a server's stdout is no message: %s: %.120s", reason,
                  s->sample);
    }
    err_drop(why);
    return skip_bytes(s, n);
}

/* The next line without its end; false: more has to be read first. */
static bool
next_line(struct stdio *s, const char **ret_line, size_t *ret_n)
{
    if (s->seen == s->in.len)
        return false;
    const char *end = memchr(s->in.p + s->seen, '\n', s->in.len - s->seen);
    if (!end) {
        s->seen = s->in.len;
        return false;
    }
    *ret_line = s->in.p + s->at;
    *ret_n = (size_t)(end - *ret_line);
    s->at = s->seen = (size_t)(end - s->in.p) + 1;
    return true;
}

static struct err *
wait_for_more(struct stdio *s)
{
    struct scope scope;
    scope_open(&scope, DEADLINE_NONE);
    s->reading = &scope;
    struct err *e = proc_read(s->proc, DEADLINE_NONE, &s->in, &s->in_ended);
    s->reading = NULL;
    scope_end(&scope);
    return e;
}

static struct err *
read_more(struct stdio *s)
{
    if (s->in.len - s->at > RPC_BYTES_MAX)
        return over(s, "it writes a line that is longer than any message may be");
    if (s->at) {
        str_cut(&s->in, s->at);
        s->seen -= s->at;
        s->at = 0;
    }
    if (!s->in.len && s->in.cap > BUFFER_KEEP)
        str_fini(&s->in);
    if (s->in_ended)
        return over_by_end(s);
    if (s->deaf)
        return over(s, "it has closed its input and runs on");
    struct err *e = wait_for_more(s);
    if (e && s->deaf) {
        err_drop(e);
        return NULL; /* what came before that is still heard */
    }
    if (e && err_kind(e) == ERR_TRANSIENT) {
        err_drop(e);
        s->in_ended = true;
        return NULL;
    }
    return e;
}

static bool
is_blank(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!isspace((unsigned char)p[i]))
            return false;
    }
    return true;
}

static struct err *
stdio_recv(struct transport *t, struct rpc_msg *ret_msg)
{
    struct stdio *s = stdio_of(t);
    const char *line;
    size_t n;
    for (;;) {
        if (!next_line(s, &line, &n)) {
            PASS(read_more(s));
            continue;
        }
        if (is_blank(line, n)) {
            PASS(skip_bytes(s, n + 1));
            continue;
        }
        struct err *e = rpc_parse(line, n, ret_msg);
        if (!e) {
            s->garbage_lines = 0;
            s->garbage_bytes = 0;
            return NULL;
        }
        PASS(take_garbage(s, line, n + 1, e));
    }
}

/* ---- life ------------------------------------------------------------------ */

static int
stdio_pid(const struct transport *t)
{
    return proc_pid(stdio_of((struct transport *)(uintptr_t)t)->proc);
}

static void
stdio_shut(struct transport *t)
{
    struct stdio *s = stdio_of(t);
    s->out_broken = true;
    waitq_wake_all(&s->room);
}

static void
stdio_close(struct transport *t, int64_t grace_ms)
{
    struct stdio *s = stdio_of(t);
    scope_end(&s->scope);
    proc_stop(s->proc, grace_ms);
    str_fini(&s->in);
    str_fini(&s->out);
    free(s->sample);
    free(s);
}

static const struct transport_ops stdio_ops = {
    .send = stdio_send,
    .recv = stdio_recv,
    .describe = stdio_describe,
    .pid = stdio_pid,
    .shut = stdio_shut,
    .close = stdio_close,
};

struct err *
stdio_open(const struct proc_opts *opts, struct transport **ret_transport)
{
    struct proc *proc;
    PASS(proc_start(opts, &proc));
    struct stdio *s = xcalloc(1, sizeof *s);
    s->base.ops = &stdio_ops;
    s->proc = proc;
    scope_open_detached(&s->scope);
    scope_spawn(&s->scope, "mcp writer", writer_run, s);
    *ret_transport = &s->base;
    return NULL;
}
