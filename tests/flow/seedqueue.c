/* seedqueue.c - the law of queues, by the order of their records.
 *
 * The list is walked through the journal once: at each assignment it is known which tasks were
 * waiting, who was free, and who had failed what. */
#include "seedlaw.h"
#include <stdlib.h>
#include <string.h>

#define AGENTS_MAX 8
#define GRACE_MS   6000 /* to end a program that does not want to */

struct job {
    const json_t *def;
    unsigned attempts;
    int who; /* has it, or had it last; -1: nobody */
    bool running, done, given_up, cut;
    bool split;  /* over several lives: how long it took is not known */
    bool counts; /* among those that are under way: it was begun in this life, and cannot wait */
    bool had[AGENTS_MAX]; /* and failed it */
    const json_t *end;    /* of the last attempt */
};
struct jobs {
    const struct hearing *h;
    struct job *at;
    size_t n, nagents;
    const char *ids[AGENTS_MAX];      /* as the queue calls them */
    const json_t *agents[AGENTS_MAX]; /* NULL: a workflow */
    unsigned slots[AGENTS_MAX], running, limit, attempts_max;
    char names[AGENTS_MAX][32];
};

static void
guilty(const struct jobs *j, const char *record, const char *why)
{
    str_addf(j->h->faults, "queue %s: %s: %s\n", j->h->path, record, why);
}

static bool
names_it(const json_t *list, const char *text)
{
    const json_t *one;
    size_t i;
    json_array_foreach (list, i, one) {
        if (str_eq(json_string_value(one), text))
            return true;
    }
    return false;
}

static bool
can_do(const struct jobs *j, const struct job *job, size_t agent)
{
    const char *named = json_str(job->def, "agent", NULL);
    const char *can = json_str(job->def, "capability", NULL);
    const json_t *def = j->agents[agent];
    if (named)
        return strcmp(j->ids[agent], named) == 0;
    return !can || (def && (names_it(json_object_get(def, "capabilities"), can) ||
                            names_it(json_object_get(def, "servers"), can) ||
                            str_eq(json_str(def, "server", NULL), can) ||
                            strcmp(json_str(def, "type", "llm"), can) == 0));
}

/* Has everybody who can do it failed it already? */
static bool
had_by_all(const struct jobs *j, const struct job *job)
{
    for (size_t i = 0; i < j->nagents; i++) {
        if (can_do(j, job, i) && !job->had[i])
            return false;
    }
    return true;
}

static bool
may_have(const struct jobs *j, const struct job *job, size_t agent)
{
    return can_do(j, job, agent) && (!job->had[agent] || had_by_all(j, job));
}

static bool
is_before(const struct job *a, const struct job *b)
{
    const int64_t x = json_int(a->def, "priority", 0), y = json_int(b->def, "priority", 0);
    return x != y ? x > y : a < b;
}

static void
jobs_init(struct jobs *j, const struct hearing *h)
{
    const json_t *def = h->def, *one;
    const json_t *list = json_object_get(def, json_object_get(def, "tasks") ? "tasks" : "items");
    size_t i;
    *j = (struct jobs){.h = h,
                       .n = json_array_size(list),
                       .limit = (unsigned)json_int(def, "max_concurrency", 10),
                       .attempts_max = (unsigned)json_int(def, "max_attempts", 2)};
    j->at = xcalloc(j->n, sizeof *j->at);
    json_array_foreach (list, i, one)
        j->at[i] = (struct job){.def = one, .who = -1};
    json_array_foreach (json_object_get(def, "agents"), i, one) {
        const char *name = json_string_value(one);
        unsigned same = 1;
        for (size_t k = 0; k < i; k++)
            same +=
                str_eq(json_string_value(json_array_get(json_object_get(def, "agents"), k)), name);
        snprintf(j->names[i], sizeof j->names[i], same > 1 ? "%s-%u" : "%s", name, same);
        j->ids[i] = j->names[i];
        j->agents[i] = json_at(h->sc->spec, "agents", name, NULL);
        j->slots[i] = (unsigned)json_int(j->agents[i], "max_concurrency", 1);
        j->nagents++;
    }
}

/* The task and the attempt that a name below the queue is about. */
static struct job *
job_of(const struct jobs *j, const char *name, unsigned *ret_attempt)
{
    unsigned index = 0;
    int n = 0;
    *ret_attempt = 1;
    if (sscanf(name, "task[%u]%n", &index, &n) != 1 || !n || index >= j->n)
        return NULL;
    if (!name[n])
        return &j->at[index];
    int more = 0;
    if (sscanf(name + n, "-%u%n", ret_attempt, &more) != 1 || name[n + more])
        return NULL;
    return &j->at[index];
}

static int
agent_named(const struct jobs *j, const char *id)
{
    for (size_t i = 0; i < j->nagents; i++) {
        if (strcmp(j->ids[i], id) == 0)
            return (int)i;
    }
    return -1;
}

/* What waits for an answer lets others begin. */
static bool
may_wait(const struct jobs *j, size_t agent)
{
    static const char *const never[] = {"get",  "put", "free",  "low",   "wrong",
                                        "echo", "ask", "shape", "backed"};
    for (size_t i = 0; i < COUNT(never); i++) {
        if (str_starts(j->ids[agent], never[i]))
            return false;
    }
    return true;
}

/* In another life. */
static void
resumed(struct jobs *j)
{
    j->running = 0;
    for (size_t i = 0; i < j->n; i++) {
        j->at[i].split = true;
        j->at[i].counts = false;
    }
}

/* Nobody more urgent waited whom the same agent could have had. */
static void
urgency_judge(const struct jobs *j, const struct job *job, int who, const char *name)
{
    for (size_t i = 0; i < j->n; i++) {
        const struct job *other = &j->at[i];
        bool waits = !other->running && !other->done && !other->given_up && !other->cut;
        if (other != job && waits && is_before(other, job) && may_have(j, other, (size_t)who))
            guilty(j, name, "a more urgent task waited for the same agent");
    }
}

static void
assigned(struct jobs *j, const char *name, const json_t *detail)
{
    unsigned attempt;
    struct job *job = job_of(j, name, &attempt);
    const int who = agent_named(j, json_str(detail, "target", ""));
    if (!job || who < 0) {
        guilty(j, name, "nobody knows this task, or this agent");
        return;
    }
    if (attempt != job->attempts + 1 || attempt != (unsigned)json_int(detail, "attempt", 0))
        guilty(j, name, "it is not the next attempt");
    if (attempt > j->attempts_max)
        guilty(j, name, "it is tried more often than it may be");
    if (job->running || job->done || job->cut)
        guilty(j, name, "it is under way, or done, and is given to somebody");
    if (!may_have(j, job, (size_t)who))
        guilty(j, name, "he cannot do it, or failed it while another could have had it");
    if (!j->slots[who])
        guilty(j, name, "he has all that he can take");
    else
        j->slots[who]--;
    job->split = false;
    job->counts = !may_wait(j, (size_t)who);
    j->running += job->counts;
    if (j->running > j->limit)
        guilty(j, name, "more tasks are under way than may be");
    urgency_judge(j, job, who, name);
    job->attempts = attempt;
    job->who = who;
    job->running = true;
    job->end = NULL;
}

static void
time_judge(const struct jobs *j, const struct job *job, const char *name)
{
    const char *text = json_str(job->def, "timeout", json_str(j->h->def, "task_timeout", NULL));
    const int64_t took = json_int(job->end, "duration_ms", 0);
    if (text && !job->split && !may_wait(j, (size_t)job->who) && took > atoll(text) + GRACE_MS)
        str_addf(j->h->faults, "queue %s: %s took %lld ms, where %s are allowed\n", j->h->path,
                 name, (long long)took, text);
}

static void
ended(struct jobs *j, const char *name, const json_t *detail)
{
    unsigned attempt;
    struct job *job = job_of(j, name, &attempt);
    const char *status = json_str(detail, "status", "");
    if (!job)
        return;
    if (!job->running || attempt != job->attempts) {
        guilty(j, name, "it ends, and was given to nobody");
        return;
    }
    job->running = false;
    job->end = detail;
    job->done = strcmp(status, "completed") == 0;
    job->cut = strcmp(status, "cancelled") == 0;
    job->had[job->who] |= !job->done;
    job->given_up = !job->done && !job->cut && attempt == j->attempts_max;
    j->running -= job->counts;
    job->counts = false;
    j->slots[job->who]++;
    time_judge(j, job, name);
}

/* The row of a task in the reply. */
static void
row_judge(const struct jobs *j, const struct job *job, const json_t *row)
{
    const char *id = json_str(row, "id", ""), *status = json_str(row, "status", "");
    const bool late = str_eq(json_str(job->end, "kind", NULL), "timeout");
    const char *want = job->done ? "completed" : late ? "timeout" : "failed";
    if (strcmp(id, json_str(job->def, "id", "")) != 0)
        guilty(j, id, "the reply has it in another place");
    if (strcmp(status, want) != 0)
        guilty(j, id, "the reply tells another end of it");
    if (json_int(row, "attempts", -1) != job->attempts)
        guilty(j, id, "the reply tells another number of attempts");
    if (job->who >= 0 && strcmp(json_str(row, "agent", ""), j->ids[job->who]) != 0)
        guilty(j, id, "the reply tells another agent");
    if (job->done &&
        !json_equal(json_object_get(row, "output"), json_object_get(job->end, "output")))
        guilty(j, id, "the reply tells another output");
    if (!job->done != !!json_str(row, "error", NULL))
        guilty(j, id, "the reply has no error of what failed, or one of what was done");
}

/* It says that it is done. */
static void
reply_judge(const struct jobs *j)
{
    const char *strategy = json_str(j->h->def, "failure_strategy", "partial_completion_allowed");
    const json_t *rows = json_object_get(j->h->state, "output");
    size_t done = 0;
    if (json_array_size(rows) != j->n)
        guilty(j, "the reply", "not each task has a row");
    for (size_t i = 0; i < j->n; i++) {
        const struct job *job = &j->at[i];
        done += job->done;
        if (!job->done && !job->given_up &&
            !(job->cut && job->split)) /* cut off in a former life */
            guilty(j, json_str(job->def, "id", ""), "nothing has come of it");
        row_judge(j, job, json_array_get(rows, i));
    }
    if (done < j->n && (!done || strcmp(strategy, "partial_completion_allowed") != 0))
        guilty(j, "the reply", "it is completed, though that was not enough");
}

void
law_of_queue(const struct hearing *h)
{
    const json_t *record;
    struct jobs j;
    size_t i;
    jobs_init(&j, h);
    json_array_foreach (h->sc->records, i, record) {
        const char *event = json_str(record, "name", "");
        const char *name = law_below(json_str(record, "path", ""), h->path);
        const json_t *detail = json_object_get(record, "detail");
        if (strcmp(event, "run.resumed") == 0)
            resumed(&j);
        if (!name || strchr(name, '/'))
            continue;
        if (strcmp(event, "task.assigned") == 0)
            assigned(&j, name, detail);
        else if (str_starts(event, "node.") && strcmp(event, "node.started") != 0)
            ended(&j, name, detail);
    }
    if (strcmp(json_str(h->state, "status", ""), "completed") == 0)
        reply_judge(&j);
    free(j.at);
}
