/* picture_test.c - pictures of what decides while it runs and of runs: each form, byte by byte. */
#include "base/test.h"
#include "plan/lower.h"
#include "plan/picture.h"

/* ---- a kind that decides, and a workflow that uses it ------------------------------------------
 */

static struct err *
picks_lower(struct lowering *l, const json_t *def, const char *pointer)
{
    static const char *const lists[] = {"routes", "cases"};
    const json_t *one;
    size_t i;
    json_array_foreach (json_object_get(def, "agents"), i, one)
        lower_worker(l, lower_node(l, json_string_value(one), false, lower_pos(l, pointer)), one,
                     lower_below(l, pointer, "agents", i));
    for (size_t k = 0; k < COUNT(lists); k++) {
        json_array_foreach (json_object_get(def, lists[k]), i, one) {
            const char *at = lower_below(l, pointer, lists[k], i);
            const struct node *chosen = i && json_object_get(one, "again")
                                            ? l->nodes.at[0]
                                            : lower_member(l, one, at, "agent");
            lower_rule(l, json_object_get(one, "when"), at, chosen);
        }
    }
    return NULL;
}

static struct err *
picks_control(struct control *c, struct reply *ret_reply)
{
    (void)c, (void)ret_reply;
    return FAIL(ERR_BUG, "pictures run nothing");
}

static const struct kind picks_kind = {.name = "picks",
                                       .doc = "one that fits",
                                       .roles = ROLE_WORKFLOW | ROLE_NODE,
                                       .lower = picks_lower,
                                       .control = picks_control};
/* One whose nodes lead to one another. */
static struct err *
walks_lower(struct lowering *l, const json_t *def, const char *pointer)
{
    static const char *const keys[] = {"next", "case", "on_error", "on_timeout"};
    static const enum way_why whys[] = {WAY_NEXT, WAY_CASE, WAY_ERROR, WAY_TIMEOUT};
    json_t *states = json_object_get(def, "states"), *state;
    const char *name;
    json_object_foreach (states, name, state) {
        struct node *n = lower_node(l, name, true, lower_pos(l, pointer));
        n->kind = "state";
        n->def = state;
    }
    json_object_foreach (states, name, state) {
        for (size_t i = 0; i < COUNT(keys); i++) {
            const char *to = json_str(state, keys[i], NULL);
            if (to)
                lower_way(l, (struct way){map_get(l->ids, name), map_get(l->ids, to), whys[i],
                                          i == 1 ? json_object_get(state, "when") : NULL});
        }
    }
    lower_way(l, (struct way){.to = l->nodes.at[0]});
    lower_way(l, (struct way){.why = WAY_ERROR});
    return NULL;
}

static const struct kind walks_kind = {.name = "walks",
                                       .doc = "step by step",
                                       .roles = ROLE_WORKFLOW | ROLE_NODE,
                                       .lower = walks_lower,
                                       .control = picks_control};
static const struct kind *const kinds[] = {&dag_kind,   &chain_kind, &gate_kind,
                                           &picks_kind, &walks_kind, NULL};

struct made {
    json_t *doc;
    struct expr_space *space;
    struct plan *plan;
    struct arena *arena;
    struct picture *picture;
};

static void
make(struct made *m, const char *workflows)
{
    AUTO(freep)
    char *text = xasprintf("{\"agents\": {\"ann\": {}, \"bob\": {}, \"cid\": {}}, "
                           "\"workflows\": {%s}}",
                           workflows);
    *m = (struct made){.space = expr_space_new((struct luastate_limits){0}), .arena = arena_new(0)};
    assert_ok(json_parse(text, strlen(text), &m->doc));
    const struct plan_source source = {.doc = m->doc, .kinds = kinds};
    assert_ok(plan_make(&source, "main", m->space, &m->plan));
    m->picture = picture_make(m->arena, m->plan);
}

static void
made_fini(struct made *m)
{
    arena_free(m->arena);
    plan_free(m->plan);
    json_decref(m->doc);
    expr_space_free(m->space);
}

static void
draws(const struct picture *p, void (*as)(const struct picture *p, struct str *to),
      const char *want)
{
    AUTO(str_fini) struct str got = STR_INIT;
    as(p, &got);
    assert_string_equal(str_c(&got), want);
}

static void
went(struct picture_node *n, enum picture_state state, const char *note)
{
    n->state = state;
    n->note = note;
}

/* ---- a run -------------------------------------------------------------------------------------
 */

static const char flow[] =
    "\"main\": {\"type\": \"dag\", \"nodes\": ["
    "{\"id\": \"fetch\", \"agent\": \"ann\"},"
    "{\"id\": \"open\", \"type\": \"gate\", \"when\": \"inputs.n > 1\","
    " \"depends_on\": [\"fetch\"]},"
    "{\"id\": \"pick\", \"type\": \"picks\", \"depends_on\": [\"open\"], \"routes\": ["
    " {\"when\": \"inputs.n < 5\", \"agent\": \"ann\"},"
    " {\"when\": \"inputs.n == 9\", \"again\": true},"
    " {\"when\": \"inputs.n > 7\", \"agent\": \"bob\"}]},"
    "{\"id\": \"tell\", \"agent\": \"bob\", \"depends_on\": [\"pick\"]},"
    "{\"id\": \"spare\", \"agent\": \"cid\", \"when\": \"inputs.n < 0\","
    " \"depends_on\": [\"fetch\"]},"
    "{\"id\": \"late\", \"agent\": \"cid\", \"depends_on\": [\"tell\", \"spare\"]}]}";

/* Every state, a node that nobody defined, and names that want to leave their line. */
static void
a_run(struct made *m)
{
    make(m, flow);
    struct picture *p = m->picture, *inside = p->nodes[2]->child;
    p->note = "failed\nafter \"3s\"";
    went(p->nodes[0], PICTURE_COMPLETED, "1s, 12 tokens");
    went(p->nodes[1], PICTURE_COMPLETED, NULL);
    went(p->nodes[2], PICTURE_RUNNING, "2s");
    went(p->nodes[3], PICTURE_UNREACHED, NULL);
    went(p->nodes[4], PICTURE_SKIPPED, NULL);
    went(p->nodes[5], PICTURE_CANCELLED, NULL);
    went(inside->nodes[0], PICTURE_UNREACHED, NULL);
    went(inside->nodes[1], PICTURE_FAILED, "failed: \"<no>\\\x1b[2J\" #1;");
    struct picture_node *judge = picture_invent(m->arena, inside, "judge");
    went(judge, PICTURE_COMPLETED, NULL);
    judge->deps = arena_array(m->arena, unsigned, 1);
    judge->deps[judge->ndeps++] = 1;
}

static const char run_text[] = "main (dag)  failed after \"3s\"\n"
                               "  + fetch (ann)  1s, 12 tokens\n"
                               "  + open (gate)  <- fetch  [when inputs.n > 1]\n"
                               "  > pick (picks)  <- open  picks: one that fits  2s\n"
                               "    . ? ann  [when inputs.n < 5, or inputs.n == 9]\n"
                               "    x ? bob  [when inputs.n > 7]  failed: \"<no>\\ [2J\" #1;\n"
                               "    + judge  <- bob\n"
                               "  . tell (bob)  <- pick\n"
                               "  - spare (cid)  <- fetch  [when inputs.n < 0]\n"
                               "  ! late (cid)  <- tell, spare\n";

static const char run_mermaid[] =
    "flowchart TD\n"
    "  n0[\"fetch: ann (1s, 12 tokens)\"]:::s3\n"
    "  n1[\"open: gate\"]:::s3\n"
    "  n2{{\"pick: picks (2s)\"}}:::s2\n"
    "  subgraph g2[\"pick: one that fits\"]\n"
    "    n3[\"ann\"]:::s1\n"
    "    n4[\"bob (failed: #quot;#lt;no>\\ [2J#quot; #35;1;)\"]:::s4\n"
    "    n5[\"judge\"]:::s3\n"
    "    n4 --> n5\n"
    "  end\n"
    "  n2 -.->|\"inputs.n #lt; 5, or inputs.n == 9\"| n3\n"
    "  n2 -.->|\"inputs.n > 7\"| n4\n"
    "  n6[\"tell: bob\"]:::s1\n"
    "  n7[\"spare: cid\"]:::s5\n"
    "  n8[\"late: cid\"]:::s6\n"
    "  n0 -->|\"inputs.n > 1\"| n1\n"
    "  n1 --> n2\n"
    "  n2 --> n6\n"
    "  n0 -->|\"inputs.n #lt; 0\"| n7\n"
    "  n6 --> n8\n"
    "  n7 --> n8\n"
    "  classDef s1 fill:whitesmoke,color:gray\n"
    "  classDef s2 fill:lightblue\n"
    "  classDef s3 fill:palegreen\n"
    "  classDef s4 fill:salmon\n"
    "  classDef s5 fill:lightgray,stroke-dasharray:4\n"
    "  classDef s6 fill:khaki\n";

static const char run_dot[] =
    "digraph \"main\" {\n"
    "  label=\"failed after \\\"3s\\\"\";\n"
    "  graph [fontname=\"sans-serif\"];\n"
    "  node [shape=box, style=rounded, fontname=\"sans-serif\"];\n"
    "  edge [fontname=\"sans-serif\", fontsize=11];\n"
    "  n0 [label=\"fetch: ann (1s, 12 tokens)\", style=\"rounded,filled\", fillcolor=palegreen];\n"
    "  n1 [label=\"open: gate\", style=\"rounded,filled\", fillcolor=palegreen];\n"
    "  n2 [label=\"pick: picks (2s)\", shape=hexagon, style=\"filled\", fillcolor=lightblue];\n"
    "  subgraph cluster_2 { label=\"pick: one that fits\";\n"
    "    n3 [label=\"ann\", style=\"rounded,filled\", fillcolor=gray95];\n"
    "    n4 [label=\"bob (failed: \\\"<no>\\\\ [2J\\\" #1;)\", style=\"rounded,filled\", "
    "fillcolor=salmon];\n"
    "    n5 [label=\"judge\", style=\"rounded,dashed,filled\", fillcolor=palegreen];\n"
    "    n4 -> n5;\n"
    "  }\n"
    "  n2 -> n3 [style=dotted, label=\"inputs.n < 5, or inputs.n == 9\"];\n"
    "  n2 -> n4 [style=dotted, label=\"inputs.n > 7\"];\n"
    "  n6 [label=\"tell: bob\", style=\"rounded,filled\", fillcolor=gray95];\n"
    "  n7 [label=\"spare: cid\", style=\"rounded,filled\", fillcolor=gray85];\n"
    "  n8 [label=\"late: cid\", style=\"rounded,filled\", fillcolor=khaki];\n"
    "  n0 -> n1 [label=\"inputs.n > 1\"];\n"
    "  n1 -> n2;\n"
    "  n2 -> n6;\n"
    "  n0 -> n7 [label=\"inputs.n < 0\"];\n"
    "  n6 -> n8;\n"
    "  n7 -> n8;\n"
    "}\n";

static const char run_json[] =
    "{\"name\":\"main\",\"type\":\"dag\",\"note\":\"failed\\nafter \\\"3s\\\"\",\"nodes\":["
    "{\"id\":\"fetch\",\"who\":\"ann\",\"after\":[],\"state\":\"completed\",\"note\":\"1s, 12 "
    "tokens\"},"
    "{\"id\":\"open\",\"who\":\"gate\",\"after\":[\"fetch\"],\"when\":\"inputs.n > "
    "1\",\"state\":\"completed\"},"
    "{\"id\":\"pick\",\"who\":\"picks\",\"after\":[\"open\"],\"state\":\"running\",\"note\":\"2s\","
    "\"inside\":{\"name\":\"pick\",\"type\":\"picks\",\"decides\":\"one that fits\",\"nodes\":["
    "{\"id\":\"ann\",\"who\":\"ann\",\"after\":[],\"when\":\"inputs.n < 5, or inputs.n == "
    "9\",\"state\":\"unreached\"},"
    "{\"id\":\"bob\",\"who\":\"bob\",\"after\":[],\"when\":\"inputs.n > "
    "7\",\"state\":\"failed\",\"note\":\"failed: \\\"<no>\\\\\\u001B[2J\\\" #1;\"},"
    "{\"id\":\"judge\",\"who\":\"judge\",\"after\":[\"bob\"],\"state\":\"completed\",\"invented\":"
    "true}]}},"
    "{\"id\":\"tell\",\"who\":\"bob\",\"after\":[\"pick\"],\"state\":\"unreached\"},"
    "{\"id\":\"spare\",\"who\":\"cid\",\"after\":[\"fetch\"],\"when\":\"inputs.n < "
    "0\",\"state\":\"skipped\"},"
    "{\"id\":\"late\",\"who\":\"cid\",\"after\":[\"tell\",\"spare\"],\"state\":\"cancelled\"}]}";

static void
as_json(const struct picture *p, struct str *to)
{
    AUTO(json_freep) json_t *j = picture_json(p);
    AUTO(freep) char *text = json_dumps(j, JSON_COMPACT);
    str_add(to, text);
}

static void
run(void **state)
{
    (void)state;
    struct made m;
    a_run(&m);
    draws(m.picture, picture_text, run_text);
    draws(m.picture, picture_mermaid, run_mermaid);
    draws(m.picture, picture_dot, run_dot);
    draws(m.picture, as_json, run_json);
    made_fini(&m);
}

/* ---- a workflow that decides -------------------------------------------------------------------
 */

/* It has a node of its own. A stored case may lack the one who is chosen, or the condition. */
static const char picking[] =
    "\"main\": {\"type\": \"picks\", \"agents\": [\"ann\"], \"cases\": ["
    "{\"when\": \"inputs.n < 5\", \"agent\": \"bob\"}, {\"when\": \"inputs.n > 7\"}, "
    "{\"agent\": \"cid\"}]}";

static const char whole_text[] = "main (picks)  one that fits  completed after 2s\n"
                                 "  ? ann\n"
                                 "  ? bob  [when inputs.n < 5]\n"
                                 "  ? cid\n";

static const char whole_mermaid[] = "flowchart TD\n"
                                    "  n0{{\"main: picks\"}}\n"
                                    "  subgraph g0[\"main: one that fits\"]\n"
                                    "    n1[\"ann\"]\n"
                                    "    n2[\"bob\"]\n"
                                    "    n3[\"cid\"]\n"
                                    "  end\n"
                                    "  n0 -.-> n1\n"
                                    "  n0 -.->|\"inputs.n #lt; 5\"| n2\n"
                                    "  n0 -.-> n3\n";

static const char whole_dot[] = "digraph \"main\" {\n"
                                "  label=\"completed after 2s\";\n"
                                "  graph [fontname=\"sans-serif\"];\n"
                                "  node [shape=box, style=rounded, fontname=\"sans-serif\"];\n"
                                "  edge [fontname=\"sans-serif\", fontsize=11];\n"
                                "  n0 [label=\"main: picks\", shape=hexagon];\n"
                                "  subgraph cluster_0 { label=\"main: one that fits\";\n"
                                "    n1 [label=\"ann\"];\n"
                                "    n2 [label=\"bob\"];\n"
                                "    n3 [label=\"cid\"];\n"
                                "  }\n"
                                "  n0 -> n1 [style=dotted];\n"
                                "  n0 -> n2 [style=dotted, label=\"inputs.n < 5\"];\n"
                                "  n0 -> n3 [style=dotted];\n"
                                "}\n";

static const char whole_json[] =
    "{\"name\":\"main\",\"type\":\"picks\",\"decides\":\"one that fits\",\"note\":\"completed "
    "after 2s\",\"nodes\":["
    "{\"id\":\"ann\",\"who\":\"ann\",\"after\":[]},"
    "{\"id\":\"bob\",\"who\":\"bob\",\"after\":[],\"when\":\"inputs.n < 5\"},"
    "{\"id\":\"cid\",\"who\":\"cid\",\"after\":[]}]}";

static void
whole(void **state)
{
    (void)state;
    struct made m;
    make(&m, picking);
    m.picture->note = "completed after 2s";
    draws(m.picture, picture_text, whole_text);
    draws(m.picture, picture_mermaid, whole_mermaid);
    draws(m.picture, picture_dot, whole_dot);
    draws(m.picture, as_json, whole_json);
    made_fini(&m);
}

/* ---- states, and undoing ------------------------------------------------------------------------
 */

static const char walking[] =
    "\"main\": {\"type\": \"walks\", \"states\": {"
    "\"idle\": {\"wait\": \"text\", \"next\": \"ask\"},"
    "\"ask\": {\"wait\": \"text\", \"choices\": [\"yes\", \"no\"], \"timeout\": 90000,"
    " \"case\": \"end\", \"when\": \"output == \\\"<x>\\\"\", \"next\": \"tell\", "
    "\"on_timeout\": \"idle\"},"
    "\"tell\": {\"wait\": \"text\", \"schema\": {}, \"on_error\": \"idle\"}}}";

static const char walking_text[] = "main (walks)  step by step\n"
                                   "  -> idle\n"
                                   "  -> end  [on error]\n"
                                   "  ? idle (state)  waits for an input  -> ask\n"
                                   "  ? ask (state)  waits for yes | no, for 1 min 30 s\n"
                                   "      -> tell\n"
                                   "      -> end  [when output == \"<x>\"]\n"
                                   "      -> idle  [too late]\n"
                                   "  ? tell (state)  waits for an input of its schema\n"
                                   "      -> idle  [on error]\n";

static const char walking_mermaid[] =
    "flowchart TD\n"
    "  n0{{\"main: walks\"}}\n"
    "  subgraph g0[\"main: step by step\"]\n"
    "    n1[/\"idle: state<br/>waits for an input\"/]\n"
    "    n2[/\"ask: state<br/>waits for yes | no, for 1 min 30 s\"/]\n"
    "    n3[/\"tell: state<br/>waits for an input of its schema\"/]\n"
    "    e0((\"end\"))\n"
    "  end\n"
    "  n0 -.-> n1\n"
    "  n0 -.->|\"on error\"| e0\n"
    "  n1 --> n2\n"
    "  n2 --> n3\n"
    "  n2 -->|\"output == #quot;#lt;x>#quot;\"| e0\n"
    "  n2 -.->|\"too late\"| n1\n"
    "  n3 -.->|\"on error\"| n1\n";

static const char walking_dot[] =
    "digraph \"main\" {\n"
    "  graph [fontname=\"sans-serif\"];\n"
    "  node [shape=box, style=rounded, fontname=\"sans-serif\"];\n"
    "  edge [fontname=\"sans-serif\", fontsize=11];\n"
    "  n0 [label=\"main: walks\", shape=hexagon];\n"
    "  subgraph cluster_0 { label=\"main: step by step\";\n"
    "    n1 [label=\"idle: state\\nwaits for an input\", shape=parallelogram, style=solid];\n"
    "    n2 [label=\"ask: state\\nwaits for yes | no, for 1 min 30 s\", shape=parallelogram, "
    "style=solid];\n"
    "    n3 [label=\"tell: state\\nwaits for an input of its schema\", shape=parallelogram, "
    "style=\"filled\", fillcolor=lightblue];\n"
    "    e0 [label=\"end\", shape=circle];\n"
    "  }\n"
    "  n0 -> n1 [style=dotted];\n"
    "  n0 -> e0 [style=dotted, label=\"on error\"];\n"
    "  n1 -> n2;\n"
    "  n2 -> n3;\n"
    "  n2 -> e0 [label=\"output == \\\"<x>\\\"\"];\n"
    "  n2 -> n1 [style=dotted, label=\"too late\"];\n"
    "  n3 -> n1 [style=dotted, label=\"on error\"];\n"
    "}\n";

static const char walking_json[] =
    "{\"name\":\"main\",\"type\":\"walks\",\"decides\":\"step by step\",\"ways\":["
    "{\"to\":\"idle\"},{\"to\":null,\"when\":\"on error\",\"rare\":true}],\"nodes\":["
    "{\"id\":\"idle\",\"who\":\"state\",\"after\":[],\"waits_for\":\"an input\","
    "\"ways\":[{\"to\":\"ask\"}]},"
    "{\"id\":\"ask\",\"who\":\"state\",\"after\":[],"
    "\"waits_for\":\"yes | no, for 1 min 30 s\",\"ways\":[{\"to\":\"tell\"},"
    "{\"to\":null,\"when\":\"output == \\\"<x>\\\"\"},"
    "{\"to\":\"idle\",\"when\":\"too late\",\"rare\":true}]},"
    "{\"id\":\"tell\",\"who\":\"state\",\"after\":[],"
    "\"waits_for\":\"an input of its schema\",\"ways\":["
    "{\"to\":\"idle\",\"when\":\"on error\",\"rare\":true}]}]}";

static void
ways(void **state)
{
    (void)state;
    struct made m;
    make(&m, walking);
    draws(m.picture, picture_text, walking_text);
    draws(m.picture, picture_mermaid, walking_mermaid);
    draws(m.picture, as_json, walking_json);
    m.picture->nodes[2]->state = PICTURE_RUNNING;
    draws(m.picture, picture_dot, walking_dot);
    made_fini(&m);
}

static const char undoing[] =
    "\"main\": {\"type\": \"dag\", \"nodes\": ["
    "{\"id\": \"pay\", \"agent\": \"ann\", \"compensate\": {\"action\": \"POST "
    "/back?\\\"<b>\\\"\"}},"
    "{\"id\": \"hire\", \"agent\": \"ann\", \"compensate\": {\"agent\": \"bob\"}},"
    "{\"id\": \"send\", \"agent\": \"ann\", \"compensate\": {\"server_name\": \"mail\","
    " \"instruction\": \"call it\\nback\"}},"
    "{\"id\": \"book\", \"agent\": \"ann\", \"compensate\": {\"agent\": \"away\"}}]},"
    "\"away\": {\"type\": \"chain\", \"sequence\": [\"bob\"]}";

static void
undos(void **state)
{
    (void)state;
    struct made m;
    make(&m, undoing);
    draws(m.picture, picture_text,
          "main (dag)\n"
          "  pay (ann)  [undo by ann: POST /back?\"<b>\"]\n"
          "  hire (ann)  [undo by bob]\n"
          "  send (ann)  [undo by mail: call it back]\n"
          "  book (ann)  [undo by away]\n");
    m.picture->nodes[0]->note = "completed";
    draws(m.picture, picture_mermaid,
          "flowchart TD\n"
          "  n0[\"pay: ann (completed)<br/>undo by ann: POST /back?#quot;#lt;b>#quot;\"]\n"
          "  n1[\"hire: ann<br/>undo by bob\"]\n"
          "  n2[\"send: ann<br/>undo by mail: call it back\"]\n"
          "  n3[\"book: ann<br/>undo by away\"]\n");
    AUTO(json_freep) json_t *j = picture_json(m.picture);
    assert_string_equal(json_str(json_array_get(json_object_get(j, "nodes"), 2), "undo", ""),
                        "mail: call it\nback");
    made_fini(&m);
}

/* Escape sequences begin with one character, too, and lines can be turned around. */
static void
hostile(void **state)
{
    (void)state;
    struct made m;
    make(&m, "\"main\": {\"type\": \"dag\", \"nodes\": [{\"id\": \"a\", \"agent\": \"ann\","
             " \"when\": \"inputs.x == '\xc2\x9b"
             "2J\xe2\x80\xae\\u001b]0;x\\u0007'\"}]}");
    m.picture->nodes[0]->note = "\xc2\x9b"
                                "31m</script> %%{init: {}}%% &lt;b> a && b";
    m.picture->note = "\xe2\x80\xa8";
    draws(m.picture, picture_text,
          "main (dag)   \n  a (ann)  [when inputs.x == ' 2J  ]0;x ']   31m</script> %%{init: {}}%% "
          "&lt;b> a && b\n");
    draws(m.picture, picture_mermaid,
          "flowchart TD\n  n0[\"a: ann ( 31m#lt;/script> #37;%{init: {}}#37;% #amp;lt;b> a && "
          "b)\"]\n");
    made_fini(&m);
}

/* More nodes than a picture has room for at first, and a condition that is cut between letters. */
static void
large(void **state)
{
    (void)state;
    struct made m;
    AUTO(str_fini) struct str s = STR_INIT, want = STR_INIT;
    str_add(&s, "\"main\": {\"type\": \"dag\", \"nodes\": [");
    str_add(&want, "main (dag)\n");
    for (int i = 0; i < 40; i++) {
        str_addf(&s, "{\"id\": \"n%d\", \"agent\": \"ann\"},", i);
        str_addf(&want, "  n%d (ann)\n", i);
    }
    str_add(&s, "{\"id\": \"last\", \"agent\": \"ann\", \"when\": \"inputs.name == '");
    str_add(&want, "  last (ann)  [when inputs.name == '"); /* 16 bytes of 200 */
    for (int i = 0; i < 100; i++)
        str_add(&s, "\xe2\x82\xac");
    for (int i = 0; i < 61; i++) /* 183 bytes; the next would be the 200th to the 202nd */
        str_add(&want, "\xe2\x82\xac");
    str_add(&s, "'\"}]}");
    str_add(&want, "]\n");
    make(&m, str_c(&s));
    draws(m.picture, picture_text, str_c(&want));
    made_fini(&m);
}

TESTS(picture_test, cmocka_unit_test(run), cmocka_unit_test(whole), cmocka_unit_test(ways),
      cmocka_unit_test(undos), cmocka_unit_test(hostile), cmocka_unit_test(large))
