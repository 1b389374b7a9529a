/* loop_test.c - the loop's own affairs: signals, descriptors, the main stack, and a kernel that
 * refuses what nothing can go on without. */
#include "rt/fiber.h"
#include "rt/loop.h"
#include "rt/rttest.h"
#include "rt/worker.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- signals --------------------------------------------------------------------------------- */

static void
on_signal(void *ctx, int signum)
{
    struct seen *s = ctx;
    str_addf(&s->log, "signal %d;", signum);
}

static void
signal_cases(void *arg)
{
    struct seen *s = arg;
    static const int four[] = {SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT};
    for (size_t i = 0; i < COUNT(four); i++)
        say_text(s, rt_on_signal(four[i], on_signal, s));
    say_text(s, rt_on_signal(SIGURG, on_signal, s));
    say_text(s, rt_on_signal(SIGUSR1, on_signal, s)); /* the same again takes no more room */
    raise(SIGUSR2);
    err_drop(fiber_sleep(2));
    say_text(s, rt_on_signal(SIGWINCH, NULL, NULL));
    raise(SIGWINCH); /* taken back; by itself it does nothing */
    err_drop(fiber_sleep(2));
}

static void
signals(void **state)
{
    (void)state;
    struct seen s = {0};
    in_world(false, 0, signal_cases, &s);
    AUTO(freep)
    char *want =
        xasprintf("ok;ok;ok;ok;limit: too many signals are watched;ok;signal %d;ok;", SIGUSR2);
    assert_string_equal(str_c(&s.log), want);
    str_fini(&s.log);
}

/* A simulated world has none. */
static void
no_signal_cases(void *arg)
{
    struct seen *s = arg;
    void (*before)(int) = signal(SIGUSR2, SIG_IGN);
    say_text(s, rt_on_signal(SIGUSR2, on_signal, s));
    raise(SIGUSR2);
    err_drop(fiber_sleep(1000));
    signal(SIGUSR2, before);
    str_addf(&s->log, "%d", (int)rt_now_us());
}

static void
no_signals(void **state)
{
    (void)state;
    struct seen s = {0};
    in_world(true, 1, no_signal_cases, &s);
    assert_string_equal(str_c(&s.log), "ok;1000000");
    str_fini(&s.log);
}

/* ---- descriptors ----------------------------------------------------------------------------- */

static void
on_poll(void *ctx, unsigned events)
{
    struct seen *s = ctx;
    str_addf(&s->log, "events %u;", events);
}

static void
poll_cases(void *arg)
{
    struct seen *s = arg;
    struct poll *p = NULL;
    int ends[2], file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    say_text(s, poll_new(file, on_poll, s, &p)); /* always ready: not a thing to wait for */
    close(file);
    str_addf(&s->log, "%d;", pipe2(ends, O_CLOEXEC));
    say_text(s, poll_new(ends[1], on_poll, s, &p));
    poll_want(p, POLL_WRITE);
    poll_want(p, POLL_WRITE);
    while (s->log.len && !strstr(str_c(&s->log), "events"))
        err_drop(fiber_sleep(1));
    poll_want(p, 0);
    size_t told = s->log.len;
    err_drop(fiber_sleep(2));
    str_addf(&s->log, "later %d", (int)(s->log.len - told));
    poll_free(p);
    poll_free(NULL);
    close(ends[0]);
    close(ends[1]);
}

static void
descriptors(void **state)
{
    (void)state;
    struct seen s = {0};
    in_world(false, 0, poll_cases, &s);
    assert_true(str_starts(str_c(&s.log),
                           "limit: watching a descriptor: operation not permitted;0;ok;events 2;"));
    const char *later = strstr(str_c(&s.log), "later");
    assert_string_equal(later ? later : "", "later 0");
    str_fini(&s.log);
}

/* ---- the main stack -------------------------------------------------------------------------- */

static void
deep(void *arg)
{
    ++*(int *)arg;
}

/* Outside of fibers it is a plain call. */
static void
outside(void **state)
{
    (void)state;
    struct rt *rt;
    int n = 0;
    assert_ok(rt_open(&(struct rt_opts){.simulated = true}, &rt));
    rt_deep(deep, &n);
    assert_int_equal(n, 1);
    offload(deep, &n);
    assert_int_equal(n, 2);
    rt_close(rt);
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void
no_descriptors(struct seen *s)
{
    struct rt *rt;
    struct rlimit before, none;
    getrlimit(RLIMIT_NOFILE, &before);
    none = (struct rlimit){0, before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
    say_text(s, rt_open(&(struct rt_opts){.simulated = false}, &rt));
    setrlimit(RLIMIT_NOFILE, &before);
    struct err *e = rt_open(&(struct rt_opts){.simulated = false}, &rt);
    if (!e)
        rt_close(rt);
    say_text(s, e);
}

static void
nothing(void *arg)
{
    (void)arg;
}

static void
no_chance(struct seen *s)
{
    refuse(&(struct refusal){.call = SYS_getrandom, .no = ENOSYS});
    in_world(false, 0, nothing, s);
}

static void
no_stack(struct seen *s)
{
    refuse(&(struct refusal){
        .call = SYS_mmap, .arg = 3, .mask = MAP_STACK, .want = MAP_STACK, .no = ENOMEM});
    in_world(false, 0, nothing, s);
}

static void
batch(void *ctx, void **jobs, size_t n)
{
    (void)ctx, (void)jobs, (void)n;
}

static void
worker_cases(void *arg)
{
    (void)arg;
    refuse(&(struct refusal){.call = SYS_clone3, .no = EAGAIN});
    refuse(&(struct refusal){.call = SYS_clone, .no = EAGAIN});
    worker_free(worker_new("test", batch, NULL, 1));
}

static void
no_thread(struct seen *s)
{
    in_world(false, 0, worker_cases, s);
}

/* Without descriptors it says so; without memory, chance or threads the process ends there and
 * then, before anything can go wrong half-way. */
static void
refusals(void **state)
{
    (void)state;
    static const struct {
        void (*fn)(struct seen *s);
        int status;
        const char *want;
    } row[] = {
        {no_descriptors, 0, "limit: the event loop could not be made: too many open files;ok;"},
        {no_chance, CHILD_ABORTED, ""},
        {no_stack, CHILD_ABORTED, ""},
        {no_thread, CHILD_ABORTED, ""},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        AUTO(freep) char *log = NULL;
        assert_int_equal(in_child(row[i].fn, &log), row[i].status);
        assert_string_equal(log, row[i].want);
    }
}

TESTS(loop_test, cmocka_unit_test(signals), cmocka_unit_test(no_signals),
      cmocka_unit_test(descriptors), cmocka_unit_test(outside), cmocka_unit_test(refusals))
