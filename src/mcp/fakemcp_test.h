/* fakemcp_test.h - a scripted MCP server inside the simulated world, for the tests of this folder.
 */
#ifndef MCP_FAKEMCP_TEST_H
#define MCP_FAKEMCP_TEST_H
#include "mcp/servers.h"
#include "rt/sim.h"

/* What the server does when a message arrives. The first rule that matches counts; without one,
 * `initialize`, `tools/list` (echo, slow), `tools/call` (echoes arguments.text) and `ping` are
 * answered properly. */
struct rule {
    const char *on;  /* "tools/list", "tools/call:echo", "reply" (to a request of its own) */
    unsigned start;  /* only in the n-th process, counted from 1; 0: in each */
    unsigned times;  /* only for the first n of such messages in a process; 0: each */
    int delay_ms;    /* first waits so long; later messages wait too */
    const char *out; /* then writes this to stdout; $ID is the message's id. NULL: nothing */
    const char *err; /* and this to stderr */
    int exit;        /* and ends with status exit - 1; 0: goes on */
};
#define RULES_MAX 16

struct fake {
    struct rule rules[RULES_MAX]; /* ended by one without `on` */
    const char *def;              /* the server's entry; NULL: {"command": "fake"} */
    struct servers_hooks hooks;
    void (*drive)(struct fake *f, struct servers *s); /* the test, in a fiber */
    void *arg;
    uint64_t seed;
    unsigned starts;
    bool logs_all;     /* got holds whole messages, not only methods */
    struct str got;    /* what the servers read: "time method ...", one a line */
    struct str log;    /* what the test saw, see fake_say */
    const char *flood; /* written to stdout again and again, from the start, without end */
    int64_t ended_ms;
};

void fake_run(struct fake *f); /* in a simulated world of its own */
void fake_fini(struct fake *f);
/* Appends "what: text @time\n" or "what: kind: text @time\n"; takes both. */
void fake_say(struct fake *f, const char *what, struct err *OWN e, json_t *OWN result);
/* Calls a tool of the server "s" with {"text": text} and says what came of it. */
void fake_call(struct fake *f, struct servers *s, const char *tool, const char *text, int64_t ms);

struct fake_row { /* a line of a table of tests */
    const char *name;
    struct fake fake;
    const char *log, *got; /* wanted; NULL: not compared */
    unsigned starts;       /* likewise; 0: not compared */
    int64_t ended_ms;      /* likewise; 0 and -1: not compared */
};
void fake_rows(const struct fake_row *rows, size_t n);

#endif
