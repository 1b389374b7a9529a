/* testcuts.h - one answer, cut and broken at every byte.
 *
 * How the network cuts a stream must make no difference, and an answer that breaks off must never
 * be taken for a whole one. */
#ifndef LLM_TESTCUTS_H
#define LLM_TESTCUTS_H
#include "llm/testllm.h"

/* The same answer however its bytes are cut: one by one, at every place, and at pairs of places. */
struct cuts {
    const struct fixture *f;
    struct server *s;
    struct str wrong;
};

static UNUSED void
try_cut(struct cuts *c, size_t cut, size_t cut_end, size_t each)
{
    struct ask a = {.server = c->s, .f = c->f};
    AUTO(freep) char *want = quoted(c->f->want);
    c->s->cut = cut;
    c->s->cut_end = cut_end;
    c->s->each = each;
    ask_now(&a);
    if (strcmp(str_c(&a.outcome), want) != 0 && !c->wrong.len)
        str_addf(&c->wrong, "cut at %zu, %zu, each %zu: %s", cut, cut_end, each, str_c(&a.outcome));
    ask_fini(&a);
}

static UNUSED void
cuts_fiber(void *arg)
{
    struct cuts *c = arg;
    const size_t n = strlen(c->s->body);
    for (size_t each = 1; each < 8; each++)
        try_cut(c, 0, 0, each);
    for (size_t cut = 0; cut <= n; cut++)
        try_cut(c, cut, MIN(cut + 1 + cut % 7, n), 0);
}

static UNUSED void
check_cuts(const struct fixture *f)
{
    struct server s;
    server_init(&s, f);
    struct cuts c = {.f = f, .s = &s};
    in_sim(cuts_fiber, &c);
    if (c.wrong.len)
        fail_msg("%s: %s", f->name, str_c(&c.wrong));
    str_fini(&c.wrong);
    server_fini(&s);
}

/* Broken at every byte: never a success, never anything but a transient error. `until`: bytes up to
 * the end mark, behind which the connection may break unnoticed; 0: all. */
static UNUSED void
drops_fiber(void *arg)
{
    struct cuts *c = arg;
    for (size_t at = 0; at < c->s->cut_end; at++) {
        struct ask a = {.server = c->s, .f = c->f};
        c->s->each = 0;
        c->s->cut = 0;
        c->s->drop_at = at;
        ask_now(&a);
        if (!str_starts(str_c(&a.outcome), "transient: ") && !c->wrong.len)
            str_addf(&c->wrong, "dropped at %zu: %s", at, str_c(&a.outcome));
        ask_fini(&a);
    }
}

static UNUSED void
check_drops(const struct fixture *f, size_t until)
{
    struct server s;
    server_init(&s, f);
    s.cut_end = until ? until : strlen(s.body);
    struct cuts c = {.f = f, .s = &s};
    in_sim(drops_fiber, &c);
    if (c.wrong.len)
        fail_msg("%s: %s", f->name, str_c(&c.wrong));
    str_fini(&c.wrong);
    server_fini(&s);
}

#endif
