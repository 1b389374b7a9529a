/* execagent.c - an agent that is a program: JSON on its stdin, the reply on its stdout. */
#include "agents/agentlib.h"
#include "rt/fiber.h"
#include "rt/proc.h"
#include "rt/rt.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define OUTPUT_BYTES_MAX ((size_t)16 << 20)
#define STOP_GRACE_MS    500

struct running {
    const char **argv;
    json_t *env;
    const char *cwd;
    char *in;
};

static void
running_fini(struct running *x)
{
    free(x->argv);
    free(x->in);
}

struct feeding {
    struct proc *p;
    const char *in;
    int64_t deadline_ms;
};

/* A program need not read what it is told; when it does not answer either, that is told. */
static void
feed(void *arg)
{
    struct feeding *f = arg;
    err_drop(proc_write(f->p, f->in, strlen(f->in), f->deadline_ms));
    proc_close_stdin(f->p);
}

static struct err *
read_all(struct proc *p, int64_t deadline_ms, struct str *out, int *ret_status)
{
    bool end = false;
    while (!end) {
        PASS(proc_read(p, deadline_ms, out, &end));
        if (out->len > OUTPUT_BYTES_MAX)
            return FAIL(ERR_LIMIT, "wrote more than %zu MB", OUTPUT_BYTES_MAX >> 20);
    }
    return proc_wait(p, deadline_ms, ret_status);
}

/* At the same time: a program may answer while it reads. */
static struct err *
feed_and_read(struct proc *p, const struct running *x, int64_t deadline_ms, struct str *out,
              int *ret_status)
{
    struct feeding f = {p, x->in, deadline_ms};
    struct scope scope;
    scope_open(&scope, DEADLINE_NONE);
    scope_spawn(&scope, "exec input", feed, &f);
    struct err *e = read_all(p, deadline_ms, out, ret_status);
    scope_end(&scope);
    return e ? err_set_in_doubt(e) : NULL;
}

static char *
without_line_end(const char *text)
{
    size_t n = strlen(text);
    while (n && (text[n - 1] == '\n' || text[n - 1] == '\r'))
        n--;
    return xstrndup(text, n);
}

static struct err *
exec_step(void *ctx, const struct step_call *step, json_t **ret_value, struct usage *usage)
{
    struct running *x = ctx;
    struct proc *p = NULL;
    AUTO(str_fini) struct str out = STR_INIT;
    const char *key;
    json_t *value;
    size_t n = 0;
    const char **env = xcalloc(json_object_size(x->env) + 2, sizeof *env);
    AUTO(freep) char *idem = xasprintf("TUTTI_IDEMPOTENCY_KEY=%s", step->key);
    env[n++] = idem;
    json_object_foreach (x->env, key, value)
        env[n++] = xasprintf("%s=%s", key, json_string_value(value));
    usage->tool_calls++;
    struct err *e = proc_start(&(struct proc_opts){.argv = x->argv, .env = env, .cwd = x->cwd}, &p);
    for (size_t i = 1; i < n; i++)
        free((char *)(uintptr_t)env[i]);
    free(env);
    PASS(e);
    int status = 0;
    e = feed_and_read(p, x, step->deadline_ms, &out, &status);
    AUTO(freep) char *err_text = without_line_end(proc_stderr(p));
    if (e)
        e = *err_text ? WRAP(e, "'%s' (it said: %s)", x->argv[0], err_text)
                      : WRAP(e, "'%s'", x->argv[0]);
    else if (status >= 256)
        e = err_set_in_doubt(FAIL(ERR_TRANSIENT, "'%s' was ended by signal %d: %s", x->argv[0],
                                  status - 256, err_text));
    else if (status)
        e = FAIL(ERR_INVALID, "'%s' ended with status %d: %s", x->argv[0], status, err_text);
    else
        *ret_value = json_string_lossy(str_c(&out), out.len);
    if (e)
        proc_kill(p);
    else
        proc_stop(p, STOP_GRACE_MS);
    return e;
}

static json_t *
stdin_of(const struct task *t)
{
    return json_pack("{ss sO* sO* ss* ss* sO*}", "message", t->message, "input", t->input,
                     "context", t->context, "action", t->action, "instruction", t->instruction,
                     "parameters", t->params);
}

static struct err *
exec_run(struct host *h, const struct task *t, struct reply *ret_reply)
{
    AUTO(running_fini) struct running x = {0};
    AUTO(json_freep) json_t *def = NULL, *value = NULL;
    PASS(def_expand(h, t->def, &def));
    const json_t *command = json_object_get(def, "command"), *arg;
    size_t i;
    x.argv = xcalloc(json_array_size(command) + 1, sizeof *x.argv);
    json_array_foreach (command, i, arg)
        x.argv[i] = json_string_value(arg);
    if (!x.argv[0])
        return FAIL(ERR_INVALID, "an exec agent needs a command");
    x.env = json_object_get(def, "env");
    x.cwd = json_str(def, "cwd", NULL);
    json_t *in = stdin_of(t);
    x.in = json_text(in);
    json_decref(in);
    AUTO(freep) char *target = xasprintf("exec:%s", t->name);
    struct step s = {.name = "exec",
                     .type = "exec",
                     .target = target,
                     .effect = effect_of(t, EFFECT_ONCE),
                     .run = exec_step,
                     .ctx = &x};
    char same[SHA256_HEX];
    if (s.effect == EFFECT_PURE) {
        AUTO(freep) char *program = json_text(def); /* command, env and cwd */
        same_of(same, (const char *const[]){program, x.in, h->ops->service(h, "dir")}, 3);
        s.same = same;
    }
    PASS(h->ops->step(h, &s, &value));
    if (json_is_string(value))
        reply_from_text(ret_reply, json_string_value(value), json_string_length(value));
    return NULL;
}

const struct kind exec_kind = {
    .name = "exec",
    .doc = "a program; it gets JSON on stdin and answers on stdout",
    .roles = ROLE_AGENT,
    .effect = EFFECT_ONCE,
    .params = FIELDS({"command", P_LIST, PARAM_REQUIRED | PARAM_NONEMPTY | PARAM_ONE,
                      "the program and its arguments", .fields = ITEM("argument", P_STRING)},
                     {"env", P_MAP, 0, "environment variables beside the inherited ones",
                      .fields = ITEM("value", P_STRING)},
                     {"cwd", P_PATH, 0, "the folder it runs in"}),
    .run = exec_run,
};
