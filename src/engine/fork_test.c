/* fork_test.c - forks: what is taken over and what is done anew, from every kind of place; crashes
 * at each commit of a fork. Agents write down what they really do. */
#include "base/test.h"
#include "engine/control_node.h"
#include "engine/fork.h"
#include "plan/lower.h"
#include "rt/rt.h"
#include "rt/sim.h"

/* ---- a world --------------------------------------------------------------- */

static struct str done;   /* the steps that were made, in order */
static unsigned failures; /* so many calls of "flaky" fail from here on, and of "picky" with a 2 */
static bool quiet;        /* too many to be written down */
static unsigned made;

static struct err *
work_step(void *ctx, const struct step_call *c, json_t **ret_value, struct usage *usage)
{
    const struct host *h = ctx;
    (void)c;
    usage->model_calls++;
    made++;
    if (!quiet)
        str_addf(&done, "%s%s", done.len ? " " : "", h->ops->path((struct host *)(uintptr_t)h));
    *ret_value = json_true();
    return NULL;
}

static struct err *
work(struct host *h, const struct task *t, struct reply *ret, enum effect effect)
{
    json_t *value = NULL;
    struct step s = {.name = "do",
                     .type = "test",
                     .target = t->name,
                     .effect = effect,
                     .run = work_step,
                     .ctx = h};
    const bool picky = strcmp(t->name, "picky") == 0 && strcmp(t->message, "2") == 0;
    if ((picky || strcmp(t->name, "flaky") == 0) && failures) {
        failures--;
        return FAIL(ERR_INVALID, "not today");
    }
    PASS(h->ops->step(h, &s, &value));
    json_decref(value);
    AUTO(freep) char *text = xasprintf("%s.", t->message);
    reply_set_text(ret, text, strlen(text));
    return NULL;
}

static struct err *
work_run(struct host *h, const struct task *t, struct reply *ret)
{
    return work(h, t, ret, EFFECT_IDEMPOTENT);
}

static struct err *
pay_run(struct host *h, const struct task *t, struct reply *ret)
{
    return work(h, t, ret, EFFECT_ONCE);
}

/* Three steps, one after the other. */
static struct err *
turns_run(struct host *h, const struct task *t, struct reply *ret)
{
    for (unsigned i = 0; i < 3; i++) {
        AUTO(freep) char *name = xasprintf("turn[%u]", i);
        json_t *value = NULL;
        struct step s = {.name = name,
                         .type = "test",
                         .target = t->name,
                         .effect = EFFECT_LLM,
                         .run = work_step,
                         .ctx = h};
        PASS(h->ops->step(h, &s, &value));
        json_decref(value);
    }
    reply_set_text(ret, t->message, strlen(t->message));
    return NULL;
}

static const struct kind work_kind = {.name = "work", .roles = ROLE_AGENT, .run = work_run};
static const struct kind pay_kind = {.name = "pay", .roles = ROLE_AGENT, .run = pay_run};
static const struct kind turns_kind = {.name = "turns", .roles = ROLE_AGENT, .run = turns_run};
static const struct kind *const agents[] = {&work_kind, &pay_kind, &turns_kind, NULL};
static const struct kind *const workflows[] = {
    &dag_kind, &task_kind, &chain_kind, &loop_kind, &foreach_kind, &parallel_kind, NULL};
static const char doc_text[] =
    "{'agents': {'a': {'type': 'work'}, 'flaky': {'type': 'work'}, 'pay': {'type': 'pay'},"
    " 'picky': {'type': 'work'},"
    " 'talk': {'type': 'turns'}},"
    "'workflows': {"
    "'panel': {'type': 'parallel', 'fan_out': ['a', 'flaky'], 'fan_in': 'a'},"
    "'main': {'type': 'dag', 'nodes': ["
    "  {'id': 'one', 'agent': 'a'},"
    "  {'id': 'two', 'workflow': 'panel', 'depends_on': ['one']},"
    "  {'id': 'side', 'agent': 'a', 'input': 'side {{ inputs.k }}'},"
    "  {'id': 'pay', 'agent': 'pay', 'input': 'p', 'depends_on': ['two']},"
    "  {'id': 'end', 'agent': 'a', 'input': '{{ steps.side.text }} {{ steps.pay.text }}'}]},"
    "'again': {'type': 'loop', 'body': 'a', 'until': 'index == 4'},"
    "'each': {'type': 'dag', 'nodes': ["
    "  {'id': 'all', 'type': 'foreach', 'items': '{{ inputs.items }}', 'agent': 'a'},"
    "  {'id': 'end', 'agent': 'a', 'depends_on': ['all'], 'input': 'x'}]},"
    "'lived': {'type': 'dag', 'nodes': ["
    "  {'id': 'bad', 'agent': 'flaky', 'continue_on_failure': true},"
    "  {'id': 'end', 'agent': 'a', 'depends_on': ['bad']}, {'id': 'other', 'agent': 'a'}]},"
    "'inner': {'type': 'chain', 'sequence': ['a', 'flaky', 'a']},"
    "'breaks': {'type': 'dag', 'parallel_execution': false, 'nodes': ["
    "  {'id': 'x', 'agent': 'a'}, {'id': 'in', 'workflow': 'inner', 'depends_on': ['x']},"
    "  {'id': 'y', 'agent': 'a', 'input': 'y', 'depends_on': ['x']}]},"
    "'pair': {'type': 'chain', 'sequence': ['a', 'a']},"
    "'pairs': {'type': 'loop', 'body': 'pair', 'until': 'index == 2'},"
    "'tries': {'type': 'dag', 'nodes': ["
    "  {'id': 'all', 'type': 'foreach', 'items': '{{ inputs.items }}', 'agent': 'picky',"
    "   'concurrency': 1}]},"
    "'undone': {'type': 'dag', 'nodes': ["
    "  {'id': 'one', 'agent': 'a', 'compensate': {'agent': 'a', 'action': 'u'}},"
    "  {'id': 'two', 'agent': 'a', 'depends_on': ['one']},"
    "  {'id': 'end', 'agent': 'flaky', 'depends_on': ['two']}]},"
    "'talks': {'type': 'chain', 'sequence': ['talk', 'a']}}}";

struct world {
    struct store_mem *mem;
    void (*play)(struct world *w);
    struct store *store;
    struct engine *e;
    struct str out;
    const void *arg;
    char origin[RUN_ID_LEN], forked[RUN_ID_LEN];
    int64_t crash_at;
    bool crash_before, crashed;
    int64_t commits;
    uint64_t lives;
};

static void
say(struct world *w, struct err *e)
{
    AUTO(freep) char *text = e ? err_text(e) : NULL;
    if (text)
        str_addf(&w->out, "%s", text);
    err_free(e);
}

static bool
on_commit(void *ctx, int64_t n, bool after)
{
    struct world *w = ctx;
    w->commits = MAX(w->commits, n);
    if (w->crashed || n != w->crash_at || after == w->crash_before)
        return !w->crashed;
    w->crashed = true;
    sim_crash();
    return after;
}

static void
world_main(void *arg)
{
    static const unsigned char key[32] = "a key of thirty-two bytes, or so";
    struct world *w = arg;
    struct err *e = store_open(&(struct store_opts){.mem = w->mem}, &w->store);
    if (!e) {
        w->e = engine_new(&(struct engine_opts){
            .store = w->store, .agents = agents, .workflows = workflows, .install_key = key});
        store_on_commit(w->store, on_commit, w);
        w->play(w);
        engine_free(w->e);
        store_close(w->store);
    }
    say(w, e);
}

/* One life of the process. */
static void
live(struct world *w, void (*play)(struct world *w))
{
    struct rt *rt;
    w->play = play;
    w->commits = 0;
    w->lives++; /* ids are made of time and chance */
    assert_ok(rt_open(&(struct rt_opts){.simulated = true, .seed = w->lives}, &rt));
    rt_run(rt, world_main, w);
    rt_close(rt);
}

static void
world_init(struct world *w)
{
    *w = (struct world){.mem = store_mem_new()};
    failures = made = 0;
    quiet = false;
    str_reset(&done);
}

static void
world_fini(struct world *w)
{
    store_mem_free(w->mem);
    str_fini(&w->out);
    str_fini(&done);
}

/* ---- plays ----------------------------------------------------------------- */

struct start {
    const char *workflow, *inputs;
};

static struct err *
finish(struct world *w, struct run *r)
{
    AUTO(json_freep) json_t *document = NULL;
    struct err *e = run_wait(r, DEADLINE_NONE);
    if (!e)
        e = run_document(r, true, &document);
    if (!e)
        str_addf(&w->out, "%s %s", json_str(document, "status", ""),
                 json_str(document, "text", ""));
    run_unref(r);
    return e;
}

static struct err *
begin(struct world *w, const struct start *s)
{
    AUTO(freep) char *text = xstrdup(doc_text);
    AUTO(json_freep) json_t *doc = NULL;
    AUTO(json_freep) json_t *inputs = NULL;
    struct flow *flow = NULL;
    struct run *r = NULL;
    bool existing;
    for (char *c = text; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    PASS(json_parse(text, strlen(text), &doc));
    PASS(json_parse(s->inputs, strlen(s->inputs), &inputs));
    PASS(engine_flow(w->e, &(struct flow_source){.doc = doc, .workflow = s->workflow}, &flow));
    AUTO(json_freep) json_t *input = json_string("go");
    struct err *e = engine_start(
        w->e, &(struct run_request){.flow = flow, .input = input, .inputs = inputs}, &r, &existing);
    flow_unref(flow);
    PASS(e);
    memcpy(w->origin, run_id(r), RUN_ID_LEN);
    return finish(w, r);
}

static void
play_start(struct world *w)
{
    say(w, begin(w, w->arg));
}

static struct err *
fork_it(struct world *w, const struct fork_request *q)
{
    struct run *r = NULL;
    PASS(engine_fork(w->e, q, w->forked));
    PASS(engine_resume(w->e, w->forked, NULL, &r));
    return finish(w, r);
}

static void
play_fork(struct world *w)
{
    const struct fork_request q = {.run = w->origin, .from = w->arg};
    say(w, fork_it(w, &q));
}

static struct err *
found(void *ctx, const struct store_run *row)
{
    struct world *w = ctx;
    if (strcmp(row->id, w->origin) != 0)
        memcpy(w->forked, row->id, RUN_ID_LEN);
    return NULL;
}

/* After a crash: the fork goes on, if it was begun. */
static void
play_resume(struct world *w)
{
    struct run *r = NULL;
    *w->forked = '\0';
    struct err *e = store_list(w->store, &(struct store_filter){0}, found, w);
    if (!e && *w->forked)
        e = engine_resume(w->e, w->forked, w->arg, &r);
    if (!e && r)
        e = finish(w, r);
    say(w, e);
}

/* ---- what is done anew ----------------------------------------------------- */

static const struct {
    const char *workflow, *inputs;
    unsigned failures;
    const char *from, *anew, *end;
} places[] = {
    {"main", "{\"k\":1}", 0, "one", "one two/flaky two/a two/a-2 pay end", "completed side 1. p.."},
    {"main", "{\"k\":1}", 0, "two", "two/a two/flaky two/a-2 pay end", "completed side 1. p.."},
    {"main", "{\"k\":1}", 0, "two/flaky", "two/flaky two/a-2 pay end", "completed side 1. p.."},
    {"main", "{\"k\":1}", 0, "two/a-2", "two/a-2 pay end", "completed side 1. p.."},
    {"main", "{\"k\":1}", 0, "side", "side end", "completed side 1. p.."},
    {"main", "{\"k\":1}", 0, "end", "end", "completed side 1. p.."},
    {"again", "{}", 0, "a[0]", "a[0] a[1] a[2] a[3]", "completed go...."},
    {"again", "{}", 0, "a[2]", "a[2] a[3]", "completed go...."},
    {"each", "{\"items\":[1,2,3]}", 0, "all/a[1]", "all/a[1] end", "completed x."},
    {"each", "{\"items\":[1,2,3]}", 0, "all", "all/a[0] all/a[1] all/a[2] end", "completed x."},
    {"talks", "{}", 0, "talk/turn[1]", "talk talk a", "completed go."},
    {"talks", "{}", 0, "a", "a", "completed go."},
    /* failures that were lived with are results */
    {"main", "{\"k\":1}", 1, "side", "side end", "partial side 1. p.."},
    {"lived", "{}", 1, "other", "other", "completed [end]:\n.\n\n[other]:\ngo."},
    {"lived", "{}", 1, "end", "end", "completed [end]:\n.\n\n[other]:\ngo."},
    {"lived", "{}", 1, "bad", "bad end", "completed [end]:\ngo..\n\n[other]:\ngo."},
    /* those that broke the run are not; what was done inside is kept */
    {"breaks", "{}", 1, "x", "x in/a in/flaky in/a-2 y", "completed [in]:\ngo....\n\n[y]:\ny."},
    {"breaks", "{}", 1, "y", "in/flaky in/a-2 y", "completed [in]:\ngo....\n\n[y]:\ny."},
    {"breaks", "{}", 1, "in/a-2", "",
     "forking '': the run has nothing at 'in/a-2' (did you mean 'in/a'?)"},
    {"breaks", "{}", 1, "in/flaky", "in/flaky in/a-2 y", "completed [in]:\ngo....\n\n[y]:\ny."},
    /* inside of what has a graph of its own, in a sequence */
    {"pairs", "{}", 0, "pair[0]/a-2", "pair[0]/a-2 pair[1]/a pair[1]/a-2", "completed go...."},
    {"pairs", "{}", 0, "pair[1]/a", "pair[1]/a pair[1]/a-2", "completed go...."},
    {"tries", "{\"items\":[1,2,3]}", 1, "all/picky[0]", "all/picky[0] all/picky[1] all/picky[2]",
     "completed [1]: 1.\n\n[2]: 2.\n\n[3]: 3."},
    /* what was undone is no result any more */
    {"undone", "{}", 1, "end", "one two end", "completed go..."},
    /* no such place */
    {"main", "{\"k\":1}", 0, "tow", "",
     "forking '': the run has nothing at 'tow' (did you mean 'two'?)"},
    {"main", "{\"k\":1}", 0, "flaky", "",
     "forking '': the run has nothing at 'flaky' (did you mean 'two/flaky'?)"},
    {"main", "{\"k\":1}", 0, "no likeness", "",
     "forking '': the run has nothing at 'no likeness'; `tutti runs show` lists its nodes"},
};

static void
every_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(places); i++) {
        struct world w;
        world_init(&w);
        failures = places[i].failures;
        const struct start s = {places[i].workflow, places[i].inputs};
        w.arg = &s;
        live(&w, play_start);
        str_reset(&done);
        str_reset(&w.out);
        w.arg = places[i].from;
        live(&w, play_fork);
        char *id = strstr(str_c(&w.out), "'01");
        if (id) /* cut out */
            memmove(id + 1, id + RUN_ID_LEN, strlen(id + RUN_ID_LEN) + 1);
        assert_string_equal(str_c(&done), places[i].anew);
        assert_string_equal(str_c(&w.out), places[i].end);
        world_fini(&w);
    }
}

/* ---- crashes --------------------------------------------------------------- */

/* Nothing was done that is not to be done anew. */
static void
words_within(const char *words, const char *all)
{
    while (*words) {
        const size_t n = strcspn(words, " ");
        AUTO(freep) char *word = xasprintf(" %.*s ", (int)n, words);
        AUTO(freep) char *around = xasprintf(" %s ", all);
        assert_non_null(strstr(around, word));
        words += n + (words[n] != '\0');
    }
}

/* The fork of a run, killed at each of its commits, before it is made and after: once the fork is
 * there it comes to the same end, with no step twice and none that was taken over. */
static void
crash_each(const struct start *start, const char *from, unsigned steps)
{
    struct world whole;
    world_init(&whole);
    whole.arg = start;
    quiet = steps > 100;
    live(&whole, play_start);
    str_reset(&whole.out);
    str_reset(&done);
    made = 0;
    whole.arg = from;
    live(&whole, play_fork);
    assert_int_equal(made, steps);
    AUTO(freep) char *anew = xstrdup(str_c(&done));
    for (int64_t n = 1; n <= 2 * whole.commits; n++) {
        struct world w;
        world_init(&w);
        w.arg = start;
        quiet = steps > 100;
        live(&w, play_start);
        str_reset(&w.out);
        str_reset(&done);
        made = 0;
        w.arg = from;
        w.crash_at = (n + 1) / 2;
        w.crash_before = n % 2;
        live(&w, play_fork);
        assert_true(w.crashed);
        w.crash_at = 0;
        w.crashed = false;
        str_reset(&w.out);
        w.arg = NULL;
        live(&w, play_resume);
        if (str_starts(str_c(&w.out), "waiting")) { /* the payment was under way */
            str_reset(&w.out);
            w.arg = "retry";
            live(&w, play_resume);
        }
        if (!*w.forked) { /* it died before it was begun */
            assert_int_equal(n, 1);
        } else {
            if (!str_starts(str_c(&w.out), "resuming")) /* it had ended */
                assert_string_equal(str_c(&w.out), str_c(&whole.out));
            assert_true(made >= steps);
            words_within(str_c(&done), anew);
        }
        world_fini(&w);
    }
    world_fini(&whole);
}

static void
crashes(void **state)
{
    (void)state;
    AUTO(str_fini) struct str many = STR_INIT;
    str_add(&many, "{\"items\":[0");
    for (int i = 1; i < 900; i++)
        str_addf(&many, ",%d", i);
    str_add(&many, "]}");
    crash_each(&(struct start){"main", "{\"k\":1}"}, "two/flaky", 4);
    crash_each(&(struct start){"again", "{}"}, "a[2]", 2);
    crash_each(&(struct start){"each", str_c(&many)}, "all/a[7]",
               2); /* several commits of copies */
}

static void
play_prune(struct world *w)
{
    size_t n = 0;
    say(w, store_prune(w->store, INT64_MAX, &n));
    str_addf(&w->out, "%zu pruned; ", n);
    play_resume(w);
}

/* Half of the copy is there, the origin is not: it cannot go on, and says why. */
static void
origin_gone(void **state)
{
    (void)state;
    AUTO(str_fini) struct str many = STR_INIT;
    struct world w;
    str_add(&many, "{\"items\":[0");
    for (int i = 1; i < 900; i++)
        str_addf(&many, ",%d", i);
    str_add(&many, "]}");
    world_init(&w);
    quiet = true;
    w.arg = &(struct start){"each", str_c(&many)};
    live(&w, play_start);
    w.arg = "end";
    w.crash_at = 2;
    live(&w, play_fork);
    assert_true(w.crashed);
    w.crash_at = 0;
    w.crashed = false;
    w.arg = NULL;
    str_reset(&w.out);
    live(&w, play_prune);
    for (char *id = w.out.p; (id = strstr(id, "'01")); id++)
        memmove(id + 1, id + RUN_ID_LEN, strlen(id + RUN_ID_LEN) + 1);
    assert_string_equal(str_c(&w.out),
                        "1 pruned; resuming '': completing the fork of '': there is no run ''");
    world_fini(&w);
}

static void
play_look(struct world *w)
{
    AUTO(json_freep) json_t *look = NULL;
    const struct fork_request q = {.run = w->origin, .from = w->arg};
    struct err *e = engine_fork_look(w->e, &q, &look);
    if (!e) {
        json_object_del(look, "run");
        AUTO(freep) char *text = json_text(look);
        str_add(&w->out, text);
    }
    say(w, e);
}

/* Looking changes nothing, and tells which calls would be made again. */
static void
looking(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    w.arg = &(struct start){"main", "{\"k\":1}"};
    live(&w, play_start);
    str_reset(&w.out);
    w.arg = "two/a-2";
    live(&w, play_look);
    assert_int_equal(w.commits, 0);
    w.arg = "end";
    live(&w, play_look);
    assert_string_equal(str_c(&w.out),
                        "{\"from\":\"two/a-2\",\"taken\":4,\"anew\":[\"two/a-2\",\"pay\","
                        "\"end\"],\"again\":[{\"path\":\"pay/do\",\"target\":\"pay\"}]}"
                        "{\"from\":\"end\",\"taken\":7,\"anew\":[\"end\"],\"again\":[]}");
    world_fini(&w);
}

static void
play_change(struct world *w)
{
    AUTO(json_freep) json_t *inputs = json_pack("{si}", "k", 7);
    const struct fork_request q = {.run = w->origin, .from = "side", .inputs = inputs};
    say(w, fork_it(w, &q));
    AUTO(json_freep) json_t *input = json_string("other");
    const struct fork_request chained = {.run = w->forked, .from = "one", .input = input};
    str_add(&w->out, "; ");
    say(w, fork_it(w, &chained));
}

/* Other inputs for what is done anew; a fork of a fork. */
static void
changing(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    w.arg = &(struct start){"main", "{\"k\":1}"};
    live(&w, play_start);
    str_reset(&w.out);
    str_reset(&done);
    live(&w, play_change);
    assert_string_equal(str_c(&w.out), "completed side 7. p..; completed side 7. p..");
    assert_string_equal(str_c(&done), "side end one two/a two/flaky two/a-2 pay end");
    world_fini(&w);
}

TESTS(fork_test, cmocka_unit_test(every_place), cmocka_unit_test(crashes),
      cmocka_unit_test(origin_gone), cmocka_unit_test(looking), cmocka_unit_test(changing))
