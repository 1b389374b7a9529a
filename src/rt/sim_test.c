/* sim_test.c - scripted peers at their limits: too much, too late, never asked for; and a crash
 * while a job waits. */
#include "rt/fiber.h"
#include "rt/http.h"
#include "rt/proc.h"
#include "rt/rttest.h"
#include "rt/sim.h"
#include "rt/worker.h"

/* ---- HTTP ------------------------------------------------------------------------------------ */

#define MEGA ((size_t)1 << 20)

static int64_t writer_left; /* when the writer that was too fast was let go, or -1 */

static void
http_script(void *ctx, struct sim_http *x)
{
    static char mega[MEGA];
    (void)ctx;
    const char *url = sim_http_req(x)->url;
    if (strstr(url, "/much")) {
        for (int i = 0; i < 5 && !sim_http_gone(x); i++)
            sim_http_send(x, mega, sizeof mega);
        writer_left = sim_http_gone(x) ? rt_now_ms() : -1;
    } else {
        const char *when = strchr(url, '=') + 1;
        sim_http_begin(x, 503, (struct http_header[]){{"Retry-After", when}}, 1);
    }
}

static void
much_cases(void *arg)
{
    struct seen *s = arg;
    struct http *h = NULL;
    bool end;
    AUTO(str_fini) struct str in = STR_INIT;
    struct http_req req = {.method = "GET", .url = "http://x/much", .reply_max = 3 * MEGA};
    sim_on_http(http_script, NULL);
    /* The peer is ahead, and waits for its reader; which closes. */
    struct err *e = http_open(&req, rt_after(1000), &h);
    if (!e)
        e = http_read(h, rt_after(1000), &in, &end);
    if (!e)
        e = fiber_sleep(70);
    http_closep(&h);
    say_text(s, e);
    if (!e)
        e = fiber_sleep(30);
    str_addf(&s->log, "%s; let go at %d;", in.len && in.len < 4 * MEGA ? "part" : "all",
             (int)writer_left);
    err_free(e);
    /* Longer than the caller is ready to take. */
    struct http_reply reply;
    e = http_fetch(&req, rt_after(1000), &reply);
    say_text(s, e);
}

static void
much(void **state)
{
    (void)state;
    struct seen s = {0};
    in_world(true, 3, much_cases, &s);
    assert_string_equal(str_c(&s.log), "ok;part; let go at 70;"
                                       "limit: the reply is longer than 3145728 bytes;");
    str_fini(&s.log);
}

/* Everything stops while the peer is waiting for its reader: it is let go too. */
static void
crash_reader(void *arg)
{
    struct seen *s = arg;
    struct http *h = NULL;
    writer_left = 0;
    sim_on_http(http_script, NULL);
    struct err *e =
        http_open(&(struct http_req){.method = "GET", .url = "http://x/much"}, rt_after(1000), &h);
    if (!e)
        e = fiber_sleep(20);
    say_text(s, e);
    sim_crash();
    fiber_yield();
    str_addf(&s->log, "let go: %d;", writer_left != 0);
    say_text(s, http_open(&(struct http_req){.method = "GET", .url = "http://x/much"},
                          rt_after(1000), &h));
    http_closep(&h);
}

static void
much_then_crash(void **state)
{
    (void)state;
    struct seen s = {0};
    in_world(true, 3, crash_reader, &s);
    assert_string_equal(str_c(&s.log), "ok;let go: 1;cancelled: cancelled;");
    str_fini(&s.log);
}

/* When to try again: as seconds, as a date, in the past, as nonsense. */
static void
later_cases(void *arg)
{
    struct seen *s = arg;
    static const char *const when[] = {"7", "Thu, 01 Jan 2026 00:01:00 GMT",
                                       "Wed, 31 Dec 2025 23:59:00 GMT",
                                       "Sat, 01 Jan 2028 00:00:00 GMT", "soon"};
    sim_on_http(http_script, NULL);
    for (size_t i = 0; i < COUNT(when); i++) {
        AUTO(freep) char *url = xasprintf("http://x/busy?=%s", when[i]);
        struct http_reply reply;
        struct err *e =
            http_fetch(&(struct http_req){.method = "GET", .url = url}, rt_after(1000), &reply);
        if (e) {
            say_text(s, e);
            continue;
        }
        str_addf(&s->log, "%lld ", (long long)reply.retry_after_ms);
        http_reply_fini(&reply);
    }
}

static void
later(void **state)
{
    (void)state;
    struct seen s = {0};
    in_world(true, 1, later_cases, &s);
    assert_string_equal(str_c(&s.log), "7000 60000 0 604800000 -1 ");
    str_fini(&s.log);
}

/* ---- processes ------------------------------------------------------------------------------- */

static int
proc_script(void *ctx, struct sim_proc *x)
{
    struct seen *s = ctx;
    str_addf(&s->log, "%s %s;", sim_proc_env(x, "COLOUR"),
             sim_proc_env(x, "COL") ? "found" : "none");
    for (int i = 0; i < 26; i++) {
        char five[5];
        memset(five, 'a' + i, sizeof five);
        sim_proc_write_stderr(x, five, sizeof five);
    }
    return 3;
}

/* Only the end of what it complained about is kept, in however small pieces it came. */
static void
proc_cases(void *arg)
{
    struct seen *s = arg;
    struct proc *p = NULL;
    int status = -1;
    const char *const argv[] = {"x", NULL}, *const env[] = {"COLOUR=blue", NULL};
    const struct proc_opts opts = {.argv = argv, .env = env, .stderr_keep = 12};
    say_text(s, proc_start(&opts, &p));
    sim_on_proc(proc_script, s);
    struct err *e = proc_start(&opts, &p);
    if (!e)
        e = proc_wait(p, rt_after(1000), &status);
    str_addf(&s->log, "%d %s;", status, p ? proc_stderr(p) : "");
    say_text(s, e);
    proc_stop(p, 10);
}

static void
processes(void **state)
{
    (void)state;
    struct seen s = {0};
    in_world(true, 1, proc_cases, &s);
    assert_string_equal(str_c(&s.log), "missing: running 'x': no such program in PATH;"
                                       "blue none;3 xxyyyyyzzzzz;ok;");
    str_fini(&s.log);
}

/* ---- a crash while jobs wait ----------------------------------------------------------------- */

struct jobs {
    struct worker *w;
    struct seen *s;
    int done;
};

static void
jobs_run(void *ctx, void **jobs, size_t n)
{
    (void)jobs;
    ((struct jobs *)ctx)->done += (int)n;
}

static void
job_user(void *arg)
{
    struct jobs *j = arg;
    worker_do(j->w, j);
    str_add(&j->s->log, "left;");
}

/* Nobody waits for ever, and what was not begun is not done. */
static void
crash_cases(void *arg)
{
    struct jobs j = {.s = arg};
    struct scope scope;
    j.w = worker_new("jobs", jobs_run, &j, 4);
    scope_open(&scope, DEADLINE_NONE);
    for (int i = 0; i < 3; i++)
        scope_spawn(&scope, "job", job_user, &j);
    fiber_yield(); /* they are in the queue */
    sim_crash();
    err_drop(scope_close(&scope));
    job_user(&j);
    worker_free(j.w);
    str_addf(&j.s->log, "done %d", j.done);
}

static void
crashing(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed < 9; seed++) {
        struct seen s = {0};
        in_world(true, seed, crash_cases, &s);
        assert_string_equal(str_c(&s.log), "left;left;left;left;done 0");
        str_fini(&s.log);
    }
}

TESTS(sim_test, cmocka_unit_test(much), cmocka_unit_test(much_then_crash), cmocka_unit_test(later),
      cmocka_unit_test(processes), cmocka_unit_test(crashing))
