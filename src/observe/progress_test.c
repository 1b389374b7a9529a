/* progress_test.c - what a person sees of a run: plain lines, the live picture, hostile text. */
#include "base/test.h"
#include "observe/progress.h"
#include <stdio.h>

#define T0 1767225600000 /* 2026-01-01T00:00:00Z */

struct screen {
    struct progress *p;
    FILE *f;
    char *text;
    size_t n;
};

static void
screen_open(struct screen *s, struct progress_opts opts)
{
    *s = (struct screen){0};
    s->f = open_memstream(&s->text, &s->n);
    assert_non_null(s->f);
    opts.out = s->f;
    s->p = progress_new(&opts);
}

static void
screen_close(struct screen *s)
{
    progress_free(s->p);
    fclose(s->f);
    free(s->text);
}

/* detail: JSON, or NULL. */
static void
tell(struct screen *s, int at_ms, const char *name, const char *path, const char *detail)
{
    AUTO(json_freep) json_t *d = NULL;
    if (detail)
        assert_ok(json_parse(detail, strlen(detail), &d));
    progress_event(
        s->p, &(struct run_event){
                  .run = "R1", .name = name, .path = path, .wall_ms = T0 + at_ms, .detail = d});
}

static void
chunk(struct screen *s, const char *path, const char *text, size_t n)
{
    progress_event(s->p, &(struct run_event){.run = "R1",
                                             .name = EVENT_AGENT_CHUNK,
                                             .path = path,
                                             .wall_ms = T0 + 5000,
                                             .text = text,
                                             .text_len = n});
}

static void
story(struct screen *s)
{
    tell(s, 0, EVENT_RUN_STARTED, "", "{\"workflow\":\"main\"}");
    tell(s, 10, EVENT_NODE_STARTED, "fetch", "{\"agent\":\"web\"}");
    tell(s, 20, EVENT_STEP_STARTED, "fetch/request", "{\"type\":\"http\",\"target\":\"http:web\"}");
    tell(s, 30, EVENT_NODE_RETRYING, "fetch/request", "{\"delay_ms\":1500,\"error\":\"503\"}");
    tell(s, 40, EVENT_NODE_RETRYING, "fetch/request", "{\"delay_ms\":3000,\"error\":\"503\"}");
    tell(s, 1500, EVENT_STEP_COMPLETED, "fetch/request", "{\"usage\":{\"tool_calls\":1}}");
    tell(s, 2010, EVENT_NODE_COMPLETED, "fetch",
         "{\"agent\":\"web\",\"status\":\"completed\",\"started\":1767225600010,\"duration_ms\":"
         "2000,"
         "\"usage\":{\"tool_calls\":1}}");
    tell(s, 2010, EVENT_NODE_STARTED, "sum", "{\"agent\":\"sum\"}");
    tell(s, 2020, EVENT_NODE_STARTED, "sum/deep", "{\"agent\":\"writer\"}");
    tell(s, 3000, EVENT_STEP_COMPLETED, "sum/deep/turn[0]",
         "{\"usage\":{\"model_calls\":1,\"input_tokens\":900,\"output_tokens\":100,"
         "\"cost_usd\":0.0125}}");
    tell(s, 4000, EVENT_NODE_FAILED, "sum/deep",
         "{\"agent\":\"writer\",\"status\":\"failed\",\"started\":1767225602020,"
         "\"duration_ms\":1980,\"error\":\"no answer\",\"usage\":{\"model_calls\":2,"
         "\"tool_calls\":2,\"input_tokens\":1,\"cost_usd\":0.02}}");
    tell(s, 4000, EVENT_NODE_SKIPPED, "later", "{\"agent\":\"web\",\"status\":\"skipped\"}");
    tell(s, 4000, EVENT_NODE_CANCELLED, "other", "{\"status\":\"cancelled\",\"duration_ms\":1}");
    tell(s, 4000, "something.new", "x", NULL); /* of a later version: passed over */
}

static void
plain(void **state)
{
    (void)state;
    struct screen s;
    screen_open(&s, (struct progress_opts){0});
    story(&s);
    progress_tick(s.p, T0 + 9000);
    progress_finish(s.p);
    assert_string_equal(s.text, "started main R1\n"
                                "  > fetch (web)\n"
                                "  > fetch (web)  20 ms  1 retry  again in 1.5 s: 503\n"
                                "  > fetch (web)  30 ms  2 retries  again in 3.0 s: 503\n"
                                "  + fetch (web)  2.0 s  1 tool call  2 retries\n"
                                "  > sum\n"
                                "    > deep (writer)\n"
                                "    x deep (writer)  2.0 s  1 tokens  $0.0200  2 tool calls  no "
                                "answer\n"
                                "  - later (web)  skipped\n"
                                "  ! other  1 ms\n");
    screen_close(&s);
}

/* Whoever looks sees what is waited for. */
static void
waiting(void **state)
{
    (void)state;
    struct screen s;
    screen_open(&s, (struct progress_opts){0});
    tell(&s, 0, EVENT_NODE_STARTED, "ask", "{}");
    tell(&s, 10, EVENT_ASKED, "ask/question", "{\"prompt\":\"May it?\",\"until\":1767225700000}");
    tell(&s, 10, EVENT_NODE_STARTED, "go", "{}");
    tell(&s, 20, EVENT_WAIT_STARTED, "go/wait", "{\"signal\":\"paid\"}");
    tell(&s, 20, EVENT_WAIT_STARTED, "go/later", "{\"until\":1767225700000}");
    tell(&s, 20, EVENT_WAIT_STARTED, "nobody/wait", "{}");
    assert_string_equal(s.text, "  > ask\n"
                                "  > ask  10 ms  asks: May it?, until 2026-01-01T00:01:40.000Z\n"
                                "  > go\n"
                                "  > go  10 ms  waits for the signal 'paid'\n"
                                "  > go  10 ms  waits until 2026-01-01T00:01:40.000Z\n");
    screen_close(&s);
}

/* A million items are one line that counts, and one for each failure that is told. */
static void
streams(void **state)
{
    (void)state;
    struct screen s;
    screen_open(&s, (struct progress_opts){0});
    tell(&s, 0, EVENT_NODE_STARTED, "each", "{}");
    tell(&s, 0, EVENT_NODE_PROGRESS, "each", "{\"member\":\"sum\",\"all\":200}");
    tell(&s, 10, EVENT_NODE_STARTED, "each/sum[0]/a", "{}");
    tell(&s, 10, EVENT_STEP_STARTED, "each/sum[0]/a/turn[0]", "{}");
    tell(&s, 20, EVENT_STEP_COMPLETED, "each/sum[0]/a/turn[0]",
         "{\"usage\":{\"input_tokens\":7,\"model_calls\":1}}");
    tell(&s, 20, EVENT_NODE_FAILED, "each/sum[0]/a", "{\"error\":\"no\"}");
    tell(&s, 20, EVENT_NODE_FAILED, "each/sum[0]", "{\"error\":\"no luck\"}");
    tell(&s, 30, EVENT_ASKED, "each/sum[1]/ask", "{\"prompt\":\"May it?\"}");
    tell(&s, 4000, EVENT_NODE_PROGRESS, "each", "{\"member\":\"sum\",\"completed\":1}");
    tell(&s, 9000, EVENT_NODE_PROGRESS, "each",
         "{\"member\":\"sum\",\"completed\":5,\"failed\":2,\"read\":50,\"all\":200}");
    tell(&s, 9000, EVENT_NODE_COMPLETED, "each",
         "{\"status\":\"completed\",\"started\":1767225600000,\"duration_ms\":9000}");
    tell(&s, 9000, EVENT_NODE_STARTED, "each/summary", "{}");
    tell(&s, 9000, EVENT_NODE_PROGRESS, "before", "{\"member\":\"x\",\"completed\":1,\"all\":0}");
    assert_string_equal(s.text,
                        "  > each\n"
                        "  > each  0 items, 0 %\n"
                        "    x sum[0]  no luck\n"
                        "  > each  30 ms  0 items, 0 %  7 tokens  asks: May it?\n"
                        "  > each  9.0 s  7 items, 2 failed, 25 %  7 tokens  asks: May it?\n"
                        "  + each  9.0 s  7 items, 2 failed\n"
                        "    > summary\n"
                        "  > before  1 item, 100 %\n");
    screen_close(&s);
}

static void
resumed(void **state)
{
    (void)state;
    struct screen s;
    screen_open(&s, (struct progress_opts){0});
    tell(&s, 0, EVENT_RUN_RESUMED, "", NULL);
    /* of nodes that began before: nothing to hang it on */
    tell(&s, 1, EVENT_STEP_STARTED, "a/turn[0]", "{}");
    tell(&s, 2, EVENT_STEP_FAILED, "a/turn[0]", "{}");
    tell(&s, 3, EVENT_NODE_RETRYING, "a/turn[0]", "{}");
    chunk(&s, "a", "text", 4);
    assert_string_equal(s.text, "resumed run R1\n");
    screen_close(&s);
}

/* The last picture, without the moves that draw it in place. */
static char *
picture(const struct screen *s)
{
    const char *last = s->text;
    for (const char *p = s->text; (p = strstr(p, "\033[")); p++) {
        if (p[strspn(p + 2, "0123456789") + 2] == 'A')
            last = p;
    }
    struct str out = STR_INIT;
    for (const char *p = last; *p;) {
        if (p[0] == '\033' && p[1] == '[') {
            p += 2 + strspn(p + 2, "0123456789;");
            p++;
        } else {
            str_addc(&out, *p++);
        }
    }
    return str_steal(&out);
}

static void
undos(void **state)
{
    struct screen s;
    (void)state;
    screen_open(&s, (struct progress_opts){0});
    tell(&s, 0, EVENT_RUN_COMPENSATING, "", "{\"reason\":\"cancelled\"}");
    tell(&s, 0, EVENT_RUN_COMPENSATING, "trip",
         "{\"reason\":\"failed\",\"error\":\"f\\u001bull\"}");
    tell(&s, 10, EVENT_NODE_STARTED, "trip/pay/undo[1]", "{\"agent\":\"shop\"}");
    tell(&s, 10, EVENT_NODE_STARTED, "pay/undo[12]", "{\"agent\":\"shop\"}");
    tell(&s, 10, EVENT_NODE_STARTED, "undo[1]", "{\"agent\":\"shop\"}"); /* of nothing */
    assert_string_equal(s.text, "undoing what was done (cancelled)\n"
                                "undoing what was done in trip (failed): f ull\n"
                                "      > undo of pay (shop)\n"
                                "    > undo of pay, try 12 (shop)\n"
                                "  > undo[1] (shop)\n");
    screen_close(&s);
}

static void
live(void **state)
{
    (void)state;
    struct screen s;
    screen_open(&s, (struct progress_opts){.live = true, .width = 60});
    story(&s);
    chunk(&s, "sum/deep/turn[1]", "ended: not shown", 16);
    chunk(&s, "sum", "the tail of a reply", 19);
    progress_tick(s.p, T0 + 5010); /* too soon after the last one to draw again */
    progress_finish(s.p);
    AUTO(freep) char *seen = picture(&s);
    assert_string_equal(seen, "main R1  5.0 s\n"
                              "  + fetch (web)  2.0 s  1 tool call  2 retries\n"
                              "  > sum  3.0 s  the tail of a reply\n"
                              "    x deep (writer)  2.0 s  1 tokens  $0.0200  2 tool calls\n"
                              "  - later (web)  skipped\n"
                              "  ! other  1 ms\n");
    screen_close(&s);
}

/* Many nodes on a small screen: the last ones, and how many there are above. */
static void
small_screen(void **state)
{
    (void)state;
    static const struct {
        unsigned rows, shown;
    } row[] = {{0, 20}, {10, 6}, {3, 2}};
    for (size_t i = 0; i < COUNT(row); i++) {
        struct screen s;
        screen_open(&s, (struct progress_opts){.live = true, .rows = row[i].rows, .color = true});
        tell(&s, 0, EVENT_RUN_STARTED, "", "{\"workflow\":\"main\"}");
        for (unsigned k = 0; k < 100; k++) {
            AUTO(freep) char *path = xasprintf("n%u", k);
            tell(&s, 1, EVENT_NODE_STARTED, path, "{}");
        }
        progress_finish(s.p);
        AUTO(freep) char *seen = picture(&s);
        AUTO(freep) char *above = xasprintf("  ... %u more above\n", 100 - row[i].shown);
        AUTO(freep) char *first = xasprintf("> n%u\n", 100 - row[i].shown);
        AUTO(freep) char *before = xasprintf("> n%u\n", 99 - row[i].shown);
        assert_non_null(strstr(seen, above));
        assert_non_null(strstr(seen, first));
        assert_null(strstr(seen, before));
        assert_non_null(strstr(seen, "> n99\n"));
        screen_close(&s);
    }
}

/* No control reaches the terminal but our own; what is left is valid UTF-8. */
static void
hostile(void **state)
{
    (void)state;
    static const struct {
        const char *text, *shown;
    } row[] = {
        {"a\033[2Jb", "a [2Jb"},
        {"a\rb\nc\td", "a b c d"},
        {"a\x7f"
         "b",
         "a b"},
        {"a\xc2\x9b"
         "31mb",
         "a 31mb"}, /* U+009B is an escape of one character */
        {"a\x9b"
         "31mb",
         "a\xef\xbf\xbd"
         "31mb"},
        {"\xff\xfe x", "\xef\xbf\xbd\xef\xbf\xbd x"},
        {"a\xe2\x80\xae"
         "b",
         "a b"}, /* turns the direction of writing */
        {"a\xe2\x81\xa6"
         "b",
         "a b"},
        {"a\xe2\x80\xa8"
         "b",
         "a b"},
        {"caf\xc3\xa9 \xe2\x82\xac", "caf\xc3\xa9 \xe2\x82\xac"},
    };
    for (size_t i = 0; i < 3 * COUNT(row); i++) {
        struct screen s;
        const char *text = row[i / 3].text;
        AUTO(json_freep) json_t *agent = json_object();
        json_object_set_new_nocheck(agent, "agent", json_string_nocheck(text));
        json_object_set_new_nocheck(agent, "workflow", json_string_nocheck(text));
        screen_open(&s, (struct progress_opts){.live = i % 3 == 2});
        struct run_event ev = {.run = "R", .name = EVENT_RUN_STARTED, .path = "", .detail = agent};
        progress_event(s.p, &ev);
        ev = (struct run_event){.run = "R",
                                .name = EVENT_NODE_STARTED,
                                .path = i % 3 == 1 ? text : "node",
                                .detail = agent};
        progress_event(s.p, &ev);
        if (i % 3 == 2)
            chunk(&s, "node", text, strlen(text));
        progress_finish(s.p);
        AUTO(freep) char *seen = i % 3 == 2 ? picture(&s) : xstrdup(s.text);
        for (const unsigned char *c = (unsigned char *)seen; *c; c++)
            assert_true(*c == '\n' || (*c >= 0x20 && *c != 0x7f));
        assert_non_null(strstr(seen, row[i / 3].shown));
        assert_true(utf8_valid(seen, strlen(seen)));
        screen_close(&s);
    }
}

/* A stream of megabytes shows its end, and no line is wider than the screen. */
static void
very_long(void **state)
{
    (void)state;
    struct screen s;
    AUTO(str_fini) struct str piece = STR_INIT;
    screen_open(&s, (struct progress_opts){.live = true, .width = 40});
    tell(&s, 0, EVENT_RUN_STARTED, "", "{\"workflow\":\"main\"}");
    tell(&s, 1, EVENT_NODE_STARTED, "n", "{}");
    for (int i = 0; i < 1000; i++)
        str_add(&piece, "\xc3\xa4");
    for (int i = 0; i < 1000; i++)
        chunk(&s, "n", piece.p,
              piece.len - 1 + (size_t)(i & 1)); /* cut inside of a character too */
    chunk(&s, "n", "END", 3);
    progress_finish(s.p);
    AUTO(freep) char *seen = picture(&s);
    assert_non_null(strstr(seen, "END\n"));
    for (const char *line = seen; *line; line += strcspn(line, "\n") + 1)
        assert_true(strcspn(line, "\n") < 40);
    tell(&s, 6000, EVENT_AGENT_CHUNK, "n", "{\"kind\":\"reset\"}");
    progress_finish(s.p);
    AUTO(freep) char *after = picture(&s);
    assert_null(strstr(after, "END"));
    screen_close(&s);
}

static void
lines(void **state)
{
    (void)state;
    AUTO(json_freep) json_t *detail = json_pack("{si}", "n", 1);
    AUTO(str_fini) struct str s = STR_INIT;
    struct run_event ev = {.run = "R1", .name = "node.started", .path = "a", .wall_ms = T0 + 7};
    event_line(&ev, &s);
    assert_string_equal(str_c(&s),
                        "{\"time\":\"2026-01-01T00:00:00.007Z\",\"event\":\"node.started\","
                        "\"run\":\"R1\",\"path\":\"a\"}\n");
    str_reset(&s);
    ev.seq = 4;
    ev.detail = detail;
    ev.text = "a\n\xff\033";
    ev.text_len = 4;
    event_line(&ev, &s);
    assert_string_equal(str_c(&s),
                        "{\"time\":\"2026-01-01T00:00:00.007Z\",\"event\":\"node.started\","
                        "\"run\":\"R1\",\"path\":\"a\",\"seq\":4,\"detail\":{\"n\":1},"
                        "\"text\":\"a\\n\xef\xbf\xbd\\u001b\"}\n");
}

static void
nothing(void **state)
{
    (void)state;
    progress_free(NULL);
    struct screen s;
    screen_open(&s, (struct progress_opts){.live = true});
    progress_finish(s.p); /* before anything happened */
    AUTO(freep) char *seen = picture(&s);
    assert_string_equal(seen, "run  0 ms\n");
    screen_close(&s);
}

TESTS(progress_test, cmocka_unit_test(plain), cmocka_unit_test(waiting), cmocka_unit_test(resumed),
      cmocka_unit_test(live), cmocka_unit_test(small_screen), cmocka_unit_test(hostile),
      cmocka_unit_test(very_long), cmocka_unit_test(lines), cmocka_unit_test(nothing),
      cmocka_unit_test(undos), cmocka_unit_test(streams))
