/* send.c - what is said to a session from outside: taken when it waits, refused while it works.
 *
 * One input a wait: the store knows by the wait's path whether it has one already. */
#include "engine/control_node.h"
#include "engine/runcore.h"
#include "engine/tell.h"
#include <string.h>

#define BUSY "I'm currently processing your previous request. Please wait."

static bool
is_input(const char *signal)
{
    const size_t n = strlen(SESSION_SIGNAL);
    return strncmp(signal, SESSION_SIGNAL, n) == 0 && (!signal[n] || signal[n] == '@');
}

/* The wait that an input ends, the oldest of several; NULL: it works. */
static const json_t *
wait_find(const json_t *waits)
{
    const json_t *one;
    size_t i;
    json_array_foreach (waits, i, one) {
        if (is_input(json_str(one, "signal", "")))
            return one;
    }
    return NULL;
}

static struct err *
put(struct engine *e, const char *run, const json_t *wait, const json_t *value, bool *ret_new)
{
    AUTO(json_freep) json_t *fitting = NULL;
    struct signal s = {.run = run,
                       .name = json_str(wait, "signal", SESSION_SIGNAL),
                       .value = value,
                       .dedupe = json_str(wait, "path", ""),
                       .by = "user"};
    PASS(answer_in_time(wait));
    PASS(answer_check(wait, value, &fitting));
    return engine_signal(e, &s, ret_new);
}

static struct err *
send_to(struct engine *e, const struct store_run *row, const struct view *v, const json_t *value,
        char **ret_busy)
{
    AUTO(json_freep) json_t *waits = json_array();
    const json_t *session = view_session(v);
    bool is_new = false;
    *ret_busy = NULL;
    if (row->status >= RUN_ENDED)
        return FAIL(ERR_INVALID, "the run '%s' has ended: %s", row->id,
                    run_status_name((enum run_status)row->status));
    PASS(view_waits(v, waits));
    const json_t *wait = wait_find(waits);
    if (!session)
        return FAIL(ERR_INVALID, "the run '%s' is no session: nothing in it waits for an input",
                    row->id);
    if (wait)
        PASS(put(e, row->id, wait, value, &is_new));
    if (!is_new)
        *ret_busy = xstrdup(json_str(session, "busy", BUSY));
    return NULL;
}

struct err *
engine_send(struct engine *e, const char *run, const char *text, char **ret_busy)
{
    struct store_run row = {0};
    AUTO(json_freep) json_t *value = json_string_lossy(text, strlen(text));
    PASS(engine_find_run(e, run, &row));
    struct view *view = view_new(row.id);
    struct err *err = store_read(e->opts.store, row.id, 1, run_read, view);
    if (!err)
        err = send_to(e, &row, view, value, ret_busy);
    view_free(view);
    store_run_fini(&row);
    return err;
}
