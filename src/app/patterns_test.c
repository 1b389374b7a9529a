/* patterns_test.c - what is told of workflows that decide while they run and cannot do so: the
 * whole message, with its place. Here, because spec and engine meet only in app. */
#include "app/refusaltest.h"

static const struct {
    const char *main, *told; /* the workflow is the file's third line */
} refused[] = {
    {"{type: router, routing_instruction: x}",
     "3:3: workflow 'main': a router needs `agents`, for a model to choose, or `routes`, which are "
     "rules\n"},
    {"{type: router, agents: [a], routes: [{when: true, agent: b}]}",
     "3:3: workflow 'main': a router needs `agents`, for a model to choose, or `routes`, which are "
     "rules\n"},
    {"{type: router, routes: [{when: true, agent: b}], routing_instruction: x}",
     "3:3: workflow 'main': rules choose here: nobody reads `routing_instruction`\n"},
    {"{type: router, routes: [{when: true, agent: b}], min_confidence: 0.5}",
     "3:3: workflow 'main': rules choose here: none has a `min_confidence`\n"},
    {"{type: router, agents: [a], min_confidence: 2}", NULL},
    {"{type: router, agents: [a], output: '{{ steps.a.text }}'}",
     "3:55: workflow 'main': output: the parts of a router are no steps; what it made is "
     "`output`\n"},
    {"{type: loop, body: a, output: {x: '{{ output }}', y: '{{ steps.b.text }}'}}",
     "3:72: workflow 'main': output: the parts of a loop are no steps; what it made is `output`\n"},
    {"{nodes: [{id: l, type: loop, body: a, output: '{{ steps.q.text }}'}]}",
     "3:65: workflow 'main': node 'l': there is no node 'q'\n"},
    {"{type: switch, cases: [{when: true, then: {type: chain, sequence: [main]}}]}",
     "3:76: workflow 'main': node 'then': the workflow 'main' contains itself\n"},
    {"{type: router, routes: [{agent: b}]}",
     "3:33: workflow 'main': 'routes[1]': 'when' is missing\n"},
    {"{type: router, agents: [a, c]}",
     "3:36: workflow 'main': 'agents[2]': there is no agent or workflow 'c'\n"},
    {"{nodes: [{id: s, type: switch, cases: [{when: steps.t.output, then: a}]}]}",
     "3:61: workflow 'main': node 's': there is no node 't'\n"},
    {"{nodes: [{id: s, type: switch, cases: [{when: '1 +', then: a}]}]}", NULL},
    {"{type: loop, body: a, until: steps.x.output}",
     "3:44: workflow 'main': there is no step 'x' around this workflow; a condition sees `input` "
     "and `inputs`\n"},
    {"{type: loop, body: a, until: '1 +'}", NULL},
    {"{type: loop, body: main}", "3:28: workflow 'main': the workflow 'main' contains itself\n"},
    {"{nodes: [{id: f, type: foreach, items: [1]}]}",
     "3:23: workflow 'main': node 'f': an agent or a workflow is needed for each item\n"},
    {"{nodes: [{id: f, type: foreach, items: [1], as: page, agent: a, input: '{{ pge }}'}]}",
     "3:84: node 'f': 'input': unknown name 'pge' (did you mean 'page'?)\n"},
    {"{nodes: [{id: f, type: foreach, items: [1], agent: a, results: x, max_failures: 2}]}",
     "3:72: workflow 'main': node 'f': `results` is for items of a file: items: {file: ...}\n"
     "flow.yaml:3:89: workflow 'main': node 'f': `max_failures` is for items of a file: items: "
     "{file: "
     "...}\n"},
    {"{nodes: [{id: f, type: foreach, items: {file: x.csv, seperator: ';'}, agent: a}]}",
     "3:73: workflow 'main': node 'f': unknown key 'seperator' of `items` (did you mean "
     "'separator'?)\n"},
    {"{nodes: [{id: f, type: foreach, items: {file: 3, format: xml}, agent: a}]}",
     "3:55: workflow 'main': node 'f': 'file' of `items` must be a text\nflow.yaml:3:66: workflow "
     "'main': node 'f': unknown format 'xml': there are jsonl, csv, text and folder\n"},
    {"{type: manager, agents: {complex: a, x: b}}",
     "3:43: workflow 'main': 'complex' is what a task of several parts is called, not a "
     "specialist\n"},
    {"{type: evaluator_optimizer, generator: a}", "3:3: workflow 'main': 'evaluator' is missing\n"},
    {"{type: maker, worker: a, match_strategy: exactly}",
     "3:50: workflow 'main': 'match_strategy': unknown value 'exactly' (did you mean 'exact'?)\n"},
    {"{nodes: [{id: g, type: gate}]}", "3:23: workflow 'main': node 'g': a gate needs `when`\n"},
    {"{type: queue, agents: [a], tasks: [{description: x, agent: b}]}",
     "3:68: workflow 'main': 'b' is none of the queue's `agents`\n"},
    {"{type: queue, agents: [a, b], tasks: [{description: x, agent: bb}]}",
     "3:71: workflow 'main': 'bb' is none of the queue's `agents`\n"},
    {"{type: queue, agents: [a], tasks: [{description: x, capability: sums}]}",
     "3:73: workflow 'main': none of the queue's `agents` can do 'sums': name it in an agent's "
     "`capabilities`\n"},
    {"{type: queue, agents: [a], tasks: [{id: t, description: x}, {id: t, description: y}]}",
     "3:74: workflow 'main': the task 't' is there twice\n"},
    {"{type: queue, agents: [a], tasks: [{priority: 3}]}",
     "3:44: workflow 'main': a task needs a `description` or an `input`\n"},
    {"{type: queue, agents: [a], tasks: [{description: x}], items: [y]}",
     "3:3: workflow 'main': a queue has `tasks` or `items`, not both\n"},
    {"{type: queue, agents: [a], tasks: [{description: '{{ steps.a.text }}'}]}",
     "3:68: workflow 'main': there is no step 'a' around this workflow; a template sees `input` "
     "and `inputs`\n"},
    {"{type: queue, agents: [a], tasks: [{description: x, prio: 3}]}",
     "3:61: workflow 'main': 'tasks[1]': unknown key 'prio'\n"},
    {"{type: queue, agents: [a], tasks: [{description: x, priority: high}]}",
     "3:71: workflow 'main': 'tasks[1].priority' expects an integer from -1000 to 1000, found the "
     "text 'high'\n"},
    {"{type: queue, tasks: [{description: x}]}", "3:3: workflow 'main': 'agents' is missing\n"},
    {"{type: session, states: {}}", "3:33: workflow 'main': 'states' is empty\n"},
    {"{type: session, states: {x: {next: x}}}",
     "3:34: workflow 'main': nothing happens in state 'x': it needs `say`, `wait` or `agent`\n"},
    {"{type: session, states: {ask: {wait: text, next: aks}}}",
     "3:58: workflow 'main': there is no state 'aks' (did you mean 'ask'?)\n"},
    {"{type: session, start: here, states: {ask: {wait: text, next: end}}}",
     "3:32: workflow 'main': there is no state 'here'\n"},
    {"{type: session, start: end, states: {ask: {wait: text}}}",
     "3:32: workflow 'main': a session cannot start where it ends\n"},
    {"{type: session, on_error: gone, states: {ask: {wait: text}}}",
     "3:35: workflow 'main': there is no state 'gone'\n"},
    {"{type: session, states: {end: {wait: text}}}",
     "3:34: workflow 'main': 'end' is where a session ends, not a state\n"},
    {"{type: session, states: {error: {wait: text}}}",
     "3:34: workflow 'main': vars.error has its own meaning: choose another name\n"},
    {"{type: session, states: {x: {wait: text, save: message}}}",
     "3:56: workflow 'main': vars.message has its own meaning: choose another name\n"},
    {"{type: session, states: {x: {wait: text, input: y}}}",
     "3:57: workflow 'main': nobody works in this state: name an `agent`\n"},
    {"{type: session, states: {x: {wait: text, on_timeout: x}}}",
     "3:62: workflow 'main': on_timeout needs a timeout: the wait never ends\n"},
    {"{type: session, states: {x: {say: '{{ steps.y.text }}'}}}",
     "3:53: workflow 'main': there is no step 'y' around this workflow; a template sees `input` "
     "and `inputs`\n"},
    {"{type: session, states: {x: {agent: a, instruction: '{{ steps.y.text }}'}}}",
     "3:71: workflow 'main': there is no step 'y' around this workflow; a template sees `input` "
     "and `inputs`\n"},
    {"{type: session, states: {x: {agent: b, cases: [{when: a, next: y}]}}}", NULL},
    {"{type: session, states: {x: {agent: b, cases: [{when: true, next: y}]}}}",
     "3:75: workflow 'main': there is no state 'y'\n"},
    {"{type: session, states: {x: {wait: number}}}",
     "3:44: workflow 'main': 'states.x.wait' expects text, found the text 'number'\n"},
    {"{type: session, states: {x: {say: y, choices: [z], next: end}}}",
     "3:46: workflow 'main': nobody is waited for in this state: say `wait: text`\n"},
    {"{type: session, states: {x: {say: y, timeout: 5, next: end}}}",
     "3:55: workflow 'main': nobody is waited for in this state: say `wait: text`\n"},
    {"{type: session, states: {x: {wait: text, choices: [z], schema: {}}}}",
     "3:64: workflow 'main': choices and schema: one of them says what an input is\n"},
    {"{type: session, states: {x: {agent: a, workflow: a}}}",
     "3:58: workflow 'main': agent and workflow: one of them works in a state\n"},
    {"{type: session, states: {undo: {wait: text}}}",
     "3:34: workflow 'main': a state cannot be called 'undo': so is what undoes the session\n"},
    {"{type: session, states: {x/y: {wait: text}}}",
     "3:25: workflow 'main': name 'x/y' holds a character that names cannot have: one of / [ ] or "
     "a line end\n"},
    {"{type: manager, agents: {x/y: a}}",
     "3:25: workflow 'main': name 'x/y' holds a character that names cannot have: one of / [ ] or "
     "a line end\n"},
    {"{type: manager, agents: {x: a}, classifier: b, profile: p}",
     "3:65: workflow 'main': the classifier has a model of its own: nobody reads `profile`\n"},
    {"{type: router, routes: [{when: true, agent: b}], profile: p}",
     "3:3: workflow 'main': rules choose here: nobody reads `profile`\n"},
    {"{type: orchestrator, agents: [a], loop_guard: false}",
     "3:55: workflow 'main': a full plan cannot go round: `loop_guard` is for `plan_type: "
     "iterative`\n"},
    {"{nodes: [{id: h, type: human, prompt: x, approval: true, choices: [y]}]}",
     "3:60: workflow 'main': node 'h': choices and approval: one of them says what an answer is\n"},
    {"{nodes: [{id: h, type: human, prompt: x, approval: true, schema: {}}]}",
     "3:60: workflow 'main': node 'h': schema and approval: one of them says what an answer is\n"},
    {"{nodes: [{id: h, type: human, prompt: x, default: y}]}",
     "3:59: workflow 'main': node 'h': default needs a timeout: the question never ends\n"},
    {"{nodes: [{id: w, type: wait, for: 5, timeout: 5}]}",
     "3:55: workflow 'main': node 'w': timeout is for a signal that may not come; a time comes\n"},
    {"{nodes: [{id: w, type: wait, for: 5, default: x}]}",
     "3:55: workflow 'main': node 'w': default is for a signal that may not come; a time comes\n"},
    {"{nodes: [{id: w, type: wait, signal: x, default: y}]}",
     "3:58: workflow 'main': node 'w': default needs a timeout: the wait never ends\n"},
    {"{type: router, routes: [{when: true, agent: b}], use_history: true}",
     "3:3: workflow 'main': rules choose here: nobody reads `use_history`\n"},
    {"{type: peers, agents: []}", NULL},
    {"{type: orchestrator, agents: [a], plan_type: half}", NULL},
};

static char *told[COUNT(refused)];

static char *
load(struct app *a, size_t i)
{
    AUTO(spec_freep) struct spec *spec = NULL;
    AUTO(freep)
    char *text = xasprintf("agents: {a: {}, b: {}}\nworkflows:\n  main: %s\n"
                           "profiles: {p: {provider: script}}\n",
                           refused[i].main);
    struct err *e = app_load_text(a, "flow.yaml", text, strlen(text), &spec);
    if (!e)
        e = app_check(a, spec);
    return refusal_words(e, "nothing\n");
}

/* Rows without a text: refused, in the words of expressions and of the schema of keys. */
static bool
same(size_t i, const char *is, char **want)
{
    *want = xasprintf("flow.yaml:%s", refused[i].told ? refused[i].told : "3:");
    const size_t n = refused[i].told ? strlen(is) : strlen(*want);
    return strncmp(is, *want, MAX(n, strlen(*want))) == 0;
}

static void
refusals(void **state)
{
    (void)state;
    refusals_check(&(struct refusing){COUNT(refused), load, told}, same);
}

TESTS(patterns_test, cmocka_unit_test(refusals))
