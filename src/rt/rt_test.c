/* rt_test.c - fibers, scopes, meeting points, the simulated world and real processes. */
#include "rt/fiber.h"
#include "rt/file.h"
#include "rt/proc.h"
#include "rt/rttest.h"
#include "rt/sim.h"
#include "rt/stream.h"
#include "rt/sync.h"
#include "rt/worker.h"
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

void
in_world(bool simulated, uint64_t seed, void (*fn)(void *), void *arg)
{
    struct rt *rt;
    assert_ok(rt_open(&(struct rt_opts){.simulated = simulated, .seed = seed}, &rt));
    rt_run(rt, fn, arg);
    rt_close(rt);
}

void
say_err(struct seen *s, const char *who, struct err *e)
{
    str_addf(&s->log, "%s%s:%s@%d", s->log.len ? " " : "", who,
             e ? err_kind_name(err_kind(e)) : "ok", (int)rt_now_ms());
    err_free(e);
}

static void
sleeper_100(void *arg)
{
    say_err(arg, "a", fiber_sleep(100));
}

static void
sleeper_300(void *arg)
{
    say_err(arg, "b", fiber_sleep(300));
}

static void
scope_cases(void *arg)
{
    struct seen *s = arg;
    struct scope sc;
    scope_open(&sc, rt_after(1000));
    scope_spawn(&sc, "a", sleeper_100, s);
    scope_spawn(&sc, "b", sleeper_300, s);
    say_err(s, "close", scope_close(&sc));
    scope_open(&sc, rt_after(200)); /* the deadline ends the slower one */
    scope_spawn(&sc, "a", sleeper_100, s);
    scope_spawn(&sc, "b", sleeper_300, s);
    say_err(s, "close", scope_close(&sc));
    scope_open(&sc, DEADLINE_NONE);
    scope_spawn(&sc, "b", sleeper_300, s);
    err_drop(fiber_sleep(50));
    scope_cancel(&sc);
    say_err(s, "close", scope_close(&sc)); /* our own cancel is not a failure */
    struct scope outer;
    scope_open(&outer, rt_after(70));
    scope_open(&sc, rt_after(1000)); /* the outer deadline is nearer */
    say_err(s, "nested", fiber_sleep(500));
    err_drop(scope_close(&sc));
    err_drop(scope_close(&outer));
    say_err(s, "after", fiber_sleep(1));
}

static void
scopes(void **state)
{
    (void)state;
    struct seen s = {0};
    in_world(true, 1, scope_cases, &s);
    assert_string_equal(str_c(&s.log),
                        "a:ok@100 b:ok@300 close:ok@300 "
                        "a:ok@400 b:timeout@500 close:timeout@500 "
                        "b:cancelled@550 close:ok@550 nested:timeout@620 after:ok@621");
    str_fini(&s.log);
}

static struct sem shared_sem;
static struct event shared_event;
static struct chan *shared_chan;

static void
sem_user(void *arg)
{
    struct seen *s = arg;
    struct err *e = sem_acquire(&shared_sem, rt_after(250));
    if (!e) {
        e = fiber_sleep(100);
        sem_release(&shared_sem);
    }
    say_err(s, "u", e);
}

static void
producer(void *arg)
{
    (void)arg;
    for (uintptr_t i = 1; i <= 100; i++)
        err_drop(chan_send(shared_chan, (void *)i, DEADLINE_NONE));
    chan_close(shared_chan);
}

static void
sync_cases(void *arg)
{
    struct seen *s = arg;
    struct scope sc;
    sem_setup(&shared_sem, 2);
    scope_open(&sc, DEADLINE_NONE);
    for (int i = 0; i < 6; i++)
        scope_spawn(&sc, "u", sem_user, s);
    say_err(s, "close", scope_close(&sc));
    assert_int_equal(shared_sem.permits, 2);
    shared_event = (struct event){0};
    say_err(s, "ev", event_wait(&shared_event, rt_after(5)));
    event_set(&shared_event);
    say_err(s, "ev", event_wait(&shared_event, rt_after(5)));
    shared_chan = chan_new(3);
    scope_open(&sc, DEADLINE_NONE);
    scope_spawn(&sc, "p", producer, NULL);
    uintptr_t sum = 0;
    for (void *item = arg; item;) {
        err_drop(chan_recv(shared_chan, DEADLINE_NONE, &item));
        sum += (uintptr_t)item;
    }
    err_drop(scope_close(&sc));
    chan_free(shared_chan, NULL);
    s->n = (int)sum;
}

static void
meeting_points(void **state)
{
    (void)state;
    struct seen s = {0};
    in_world(true, 7, sync_cases, &s);
    assert_string_equal(str_c(&s.log),
                        "u:ok@100 u:ok@100 u:ok@200 u:ok@200 u:ok@300 u:ok@300 close:ok@300 "
                        "ev:timeout@305 ev:ok@305");
    assert_int_equal(s.n, 5050);
    str_fini(&s.log);
}

static void
deep_work(void *arg)
{
    volatile char *big = alloca((size_t)512 * 1024); /* tidy: twice a fiber's stack */
    big[0] = 1;
    big[512 * 1024 - 1] = 2;
    *(int *)arg = big[0] + big[512 * 1024 - 1];
}

static void
blocking_work(void *arg)
{
    *(int *)arg += 40;
}

static void
batch(void *ctx, void **jobs, size_t n)
{
    int *batches = ctx;
    ++*batches;
    for (size_t i = 0; i < n; i++)
        *(int *)jobs[i] = (int)n;
}

struct batching {
    struct worker *w;
    int sizes[10], next;
};

static void
batch_user(void *arg)
{
    struct batching *b = arg;
    worker_do(b->w, &b->sizes[b->next++]);
}

static void
thread_cases(void *arg)
{
    struct seen *s = arg;
    int x = 0, batches = 0;
    rt_deep(deep_work, &x);
    offload(blocking_work, &x);
    s->n = x;
    struct batching b = {.w = worker_new("test", batch, &batches, 4)};
    struct scope sc;
    scope_open(&sc, DEADLINE_NONE);
    for (int i = 0; i < 10; i++)
        scope_spawn(&sc, "batch", batch_user, &b);
    err_drop(scope_close(&sc));
    worker_free(b.w);
    int done = 0;
    for (int i = 0; i < 10; i++)
        done += b.sizes[i] > 0;
    str_addf(&s->log, "%d done, at least 3 batches: %d", done, batches >= 3);
}

static void
threads(void **state)
{
    (void)state;
    for (int simulated = 0; simulated < 2; simulated++) {
        struct seen s = {0};
        in_world(simulated, 3, thread_cases, &s);
        assert_int_equal(s.n, 43);
        assert_string_equal(str_c(&s.log), "10 done, at least 3 batches: 1");
        str_fini(&s.log);
    }
}

/* A server whose behaviour is the last part of the path. */
static void
http_script(void *ctx, struct sim_http *x)
{
    (void)ctx;
    const struct http_req *r = sim_http_req(x);
    if (strstr(r->url, "/slow"))
        err_drop(fiber_sleep(100));
    if (strstr(r->url, "/hang"))
        err_drop(fiber_park(DEADLINE_NONE));
    if (strstr(r->url, "/drop")) {
        sim_http_send(x, "half", 4);
        sim_http_drop(x);
        return;
    }
    if (strstr(r->url, "/busy")) {
        sim_http_begin(x, 429, (struct http_header[]){{"Retry-After", "2"}}, 1);
        return;
    }
    sim_http_send(x, "hello ", 6);
    sim_http_send(x, r->body, r->body_len);
}

static void
http_cases(void *arg)
{
    struct seen *s = arg;
    sim_on_http(http_script, NULL);
    static const char *const paths[] = {"/ok", "/slow", "/hang", "/drop", "/busy"};
    for (size_t i = 0; i < COUNT(paths); i++) {
        AUTO(freep) char *url = xasprintf("http://x%s", paths[i]);
        struct http_req req = {.method = "POST", .url = url, .body = "you", .body_len = 3};
        struct http_reply reply;
        struct err *e = http_fetch(&req, rt_after(1000), &reply);
        if (e) {
            str_addf(&s->log, "%s doubt=%d ", paths[i], err_in_doubt(e));
            err_free(e);
            continue;
        }
        str_addf(&s->log, "%s %d '%s' %d ", paths[i], reply.status, str_c(&reply.body),
                 (int)reply.retry_after_ms);
        http_reply_fini(&reply);
    }
    sim_http_refuse(true);
    struct http *h;
    struct err *e =
        http_open(&(struct http_req){.method = "GET", .url = "http://x/"}, rt_after(10), &h);
    str_addf(&s->log, "refused doubt=%d", err_in_doubt(e));
    err_free(e);
    s->end_ms = rt_now_ms();
}

static void
sim_http(void **state)
{
    (void)state;
    struct seen s = {0};
    in_world(true, 5, http_cases, &s);
    assert_string_equal(str_c(&s.log),
                        "/ok 200 'hello you' -1 /slow 200 'hello you' -1 /hang doubt=1 "
                        "/drop doubt=1 /busy 429 '' 2000 refused doubt=0");
    assert_int_equal(s.end_ms, 1100);
    str_fini(&s.log);
}

static void
random_sleeper(void *arg)
{
    uint64_t *digest = arg;
    for (int i = 0; i < 20; i++)
        err_drop(fiber_sleep((int64_t)rt_random_below(50)));
    *digest = sim_digest();
}

static void
digest_case(void *arg)
{
    struct scope sc;
    scope_open(&sc, DEADLINE_NONE);
    for (int i = 0; i < 20; i++)
        scope_spawn(&sc, "r", random_sleeper, arg);
    err_drop(scope_close(&sc));
    *(uint64_t *)arg = sim_digest();
}

static void
seeds_replay(void **state)
{
    (void)state;
    uint64_t a, b, c;
    in_world(true, 42, digest_case, &a);
    in_world(true, 42, digest_case, &b);
    in_world(true, 43, digest_case, &c);
    assert_true(a == b);
    assert_true(a != c);
}

static void
crash_sleeper(void *arg)
{
    fiber_shield(true);
    say_err(arg, "shielded", fiber_sleep(1000));
    fiber_shield(false);
}

static void
crash_case(void *arg)
{
    struct scope sc;
    sim_on_http(http_script, NULL);
    scope_open(&sc, DEADLINE_NONE);
    scope_spawn(&sc, "c", crash_sleeper, arg);
    err_drop(fiber_sleep(10));
    sim_crash();
    struct http *h;
    say_err(arg, "http",
            http_open(&(struct http_req){.method = "GET", .url = "http://x/"}, rt_after(10), &h));
    err_drop(scope_close(&sc));
}

static void
crashes(void **state)
{
    (void)state;
    struct seen s = {0};
    in_world(true, 1, crash_case, &s);
    assert_string_equal(str_c(&s.log), "http:cancelled@10 shielded:cancelled@10");
    str_fini(&s.log);
}

static void
run_proc(struct seen *s, const char *script, const char *in)
{
    struct proc *p = NULL;
    struct str out = STR_INIT;
    bool end = false;
    int status = -1;
    const char *const argv[] = {"sh", "-c", script, NULL};
    const char *const env[] = {"WORD=blue", NULL};
    struct err *e = proc_start(&(struct proc_opts){.argv = argv, .env = env, .stderr_keep = 8}, &p);
    if (!e && in)
        e = proc_write(p, in, strlen(in), rt_after(5000));
    if (!e)
        proc_close_stdin(p);
    while (!e && !end)
        e = proc_read(p, rt_after(5000), &out, &end);
    if (!e)
        e = proc_wait(p, rt_after(5000), &status);
    str_addf(&s->log, "[%s|%s|%d]", str_c(&out), p ? proc_stderr(p) : "", status);
    if (e)
        say_err(s, "failed", e);
    str_fini(&out);
    proc_stop(p, 100);
}

static void
proc_cases(void *arg)
{
    struct seen *s = arg;
    run_proc(s, "cat; echo $WORD; echo 0123456789 >&2; exit 3", "hi ");
    run_proc(s, "kill -9 $$", NULL);
    struct proc *p = NULL;
    const char *const none[] = {"/nonexistent/x", NULL};
    struct err *e = proc_start(&(struct proc_opts){.argv = none}, &p);
    AUTO(freep) char *text = err_text(e);
    str_addf(&s->log, "%s;", text);
    err_free(e);
    const char *const sh[] = {"sh", "-c", "true", NULL};
    e = proc_start(&(struct proc_opts){.argv = sh, .cwd = "/nonexistent"}, &p);
    AUTO(freep) char *text2 = err_text(e);
    str_addf(&s->log, "%s", text2);
    err_free(e);
}

static void
processes(void **state)
{
    (void)state;
    struct seen s = {0};
    in_world(false, 0, proc_cases, &s);
    assert_string_equal(str_c(&s.log), "[hi blue\n|3456789\n|3][||265]"
                                       "running '/nonexistent/x': no such program in PATH;"
                                       "the folder '/nonexistent': No such file or directory");
    str_fini(&s.log);
}

/* Starts a stubborn child with a grandchild in a session of its own, and tells their pids. */
static void
stubborn_case(void *arg)
{
    struct proc *p = NULL;
    struct str out = STR_INIT;
    bool end = false;
    const char *const argv[] = {
        "sh", "-c",
        "trap '' TERM; setsid sh -c 'trap \"\" TERM; echo $$; exec sleep 1000' & "
        "echo $$; while :; do sleep 1; done",
        NULL};
    struct err *e = proc_start(&(struct proc_opts){.argv = argv}, &p);
    while (!e && !end && !memchr(str_c(&out), '\n', out.len ? out.len - 1 : 0))
        e = proc_read(p, rt_after(5000), &out, &end);
    int *pids = arg;
    if (!e)
        sscanf(str_c(&out), "%d %d", &pids[0], &pids[1]);
    err_free(e);
    str_fini(&out);
    if (pids[2]) { /* the parent dies instead */
        int told = pids[2];
        ssize_t n = write(told, pids, 2 * sizeof *pids);
        (void)n;
        kill(getpid(), SIGKILL);
    }
    proc_stop(p, 50);
}

static bool
gone(int pid)
{
    for (int i = 0; i < 500; i++) {
        if (kill(pid, 0) != 0)
            return true;
        usleep(10000); /* tidy: another process ends */
    }
    return false;
}

static void
trees_end(void **state)
{
    (void)state;
    int pids[3] = {0};
    in_world(false, 0, stubborn_case, pids);
    assert_true(pids[0] > 0 && pids[1] > 0);
    assert_true(gone(pids[0]) && gone(pids[1]));
}

static void
trees_end_with_us(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    int child = fork();
    if (child == 0) {
        int pids[3] = {0, 0, fds[1]};
        in_world(false, 0, stubborn_case, pids);
        _exit(0);
    }
    int pids[2];
    close(fds[1]);
    assert_int_equal(read(fds[0], pids, sizeof pids), sizeof pids);
    close(fds[0]);
    int status;
    waitpid(child, &status, 0);
    assert_true(WIFSIGNALED(status));
    assert_true(pids[0] > 0 && pids[1] > 0);
    assert_true(gone(pids[0]) && gone(pids[1])); /* both ignore SIGTERM: the custodian insists */
}

static void
echo_server(void *arg)
{
    struct listener *l = arg;
    struct stream *s;
    struct str in = STR_INIT;
    bool end = false;
    struct err *e = listener_accept(l, rt_after(5000), &s);
    while (!e && !end) {
        str_reset(&in);
        e = stream_read(s, rt_after(5000), &in, &end);
        if (!e && !end)
            e = stream_write(s, in.p, in.len, rt_after(5000));
    }
    err_free(e);
    str_fini(&in);
    stream_close(s);
}

static void
stream_cases(void *arg)
{
    struct seen *s = arg;
    struct listener *l;
    struct stream *c;
    struct scope sc;
    AUTO(freep) char *path = xasprintf("/tmp/tutti-rt-test-%d.sock", (int)getpid());
    struct err *e = stream_connect(path, rt_after(100), &c);
    str_addf(&s->log, "%s ", err_kind_name(err_kind(e)));
    err_free(e);
    err_drop(listener_open(path, &l));
    scope_open(&sc, DEADLINE_NONE);
    scope_spawn(&sc, "echo", echo_server, l);
    e = stream_connect(path, rt_after(1000), &c);
    size_t n = (size_t)3 << 20; /* more than any pipe holds: reads have to go on while we write */
    char *big = xmalloc(n);
    memset(big, 'x', n);
    struct str in = STR_INIT;
    bool end = false;
    if (!e)
        e = stream_write(c, big, 100000, rt_after(5000));
    while (!e && in.len < 100000)
        e = stream_read(c, rt_after(5000), &in, &end);
    s->n = (int)in.len;
    struct err *late = stream_read(c, rt_after(20), &in, &end);
    str_addf(&s->log, "%s ", late ? err_kind_name(err_kind(late)) : "ok");
    err_free(late);
    free(big);
    str_fini(&in);
    err_free(e);
    stream_close(c);
    err_drop(scope_close(&sc));
    listener_close(l);
    str_addf(&s->log, "path left: %d", file_exists(path));
}

static void
streams(void **state)
{
    (void)state;
    struct seen s = {0};
    in_world(false, 0, stream_cases, &s);
    assert_int_equal(s.n, 100000);
    assert_string_equal(str_c(&s.log), "missing timeout path left: 0");
    str_fini(&s.log);
}

TESTS(rt_test, cmocka_unit_test(scopes), cmocka_unit_test(meeting_points),
      cmocka_unit_test(threads), cmocka_unit_test(sim_http), cmocka_unit_test(seeds_replay),
      cmocka_unit_test(crashes), cmocka_unit_test(processes), cmocka_unit_test(trees_end),
      cmocka_unit_test(trees_end_with_us), cmocka_unit_test(streams))
