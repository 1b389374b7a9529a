/* historycmd.c - `tutti runs history`, `clear-history`: what is kept of conversations. */
#include "base/printable.h"
#include "base/units.h"
#include "cli/runs.h"
#include <stdio.h>
#include <string.h>

#define SHOWN_MAX 400 /* bytes of a text */

static void
text_print(const char *key, const char *text)
{
    AUTO(str_fini) struct str line = STR_INIT;
    const size_t n = strlen(text), shown = n > SHOWN_MAX ? utf8_floor(text, SHOWN_MAX) : n;
    printable_add(&line, text, shown);
    print_shown(stdout, "  %s: %s%s\n", key, str_c(&line), shown < n ? "..." : "");
}

static struct err *
exchange_take(void *ctx, const struct conversation_row *row)
{
    struct asked *q = ctx;
    char at[32];
    time_iso(row->at_ms, at);
    if (q->json) {
        json_array_append_new(q->list,
                              json_pack("{ss ss ss ss sO?}", "conversation", row->conversation,
                                        "workflow", row->workflow, "agent", row->who, "at", at,
                                        "exchange", row->exchange));
        return NULL;
    }
    const char *key;
    json_t *said;
    q->shown++;
    print_shown(stdout, "%s  %s  %s  %s\n", at, row->conversation, row->workflow, row->who);
    json_object_foreach ((json_t *)(uintptr_t)row->exchange, key, said) {
        AUTO(freep) char *text = json_as_text(said);
        text_print(key, text);
    }
    return NULL;
}

static struct conversation_filter
conversations(const struct asked *q)
{
    return (struct conversation_filter){q->conversation, q->workflow, q->id};
}

struct err *
runs_history(struct app *a, void *arg)
{
    struct asked *q = arg;
    const struct conversation_filter f = conversations(q);
    q->list = json_array();
    PASS(engine_conversations(app_engine(a), &f, exchange_take, q));
    if (q->json)
        print_json(q->list);
    else if (!q->shown)
        fprintf(stderr, "nothing was said: agents with `use_history` keep what they are told in a "
                        "`run --conversation`\n");
    return NULL;
}

struct err *
runs_clear_history(struct app *a, void *arg)
{
    struct asked *q = arg;
    const struct conversation_filter f = conversations(q);
    size_t n = 0;
    PASS(engine_forget_said(app_engine(a), &f, &n));
    if (q->json) {
        AUTO(json_freep) json_t *doc = json_pack("{sI}", "forgotten", (json_int_t)n);
        print_json(doc);
    } else {
        print_shown(stdout, "%zu exchanges forgotten\n", n);
    }
    return NULL;
}
