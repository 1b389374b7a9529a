/* tester.h - the tests that stand in a file (`tests:`): a workflow run on a store in memory, with
 * scripted or recorded models, and what is expected of it.
 *
 * Each test has a runtime and an engine of its own. Unless it says otherwise its clock is virtual:
 * pauses and timeouts take no time, and nothing outside the process can be called. To be called
 * outside of any runtime. */
#ifndef APP_TESTER_H
#define APP_TESTER_H
#include "app/app.h"

struct tester_opts {
    const char *file;
    const char *filter; /* names that hold this, or match it when it has * or ?; NULL: all */
    bool record;        /* real models and a real clock; what they answer goes to `recording` */
};
/* *ret_report: {"file", "passed", "failed", "tests": [{"name", "workflow", "ok", "status",
 * "duration_ms", "failures": [{"what", "expected", "actual", "diff"}], "output"}]}. ERR_MISSING:
 * the file has no tests, or none of that name. */
struct err *MUST tests_run(const struct tester_opts *o, json_t **OWN ret_report);

/* ---- parts of it ----------------------------------------------------------- */

/* testcast.c: the document as the test wants it: agents answered for by `replies`. */
struct err *MUST test_cast(json_t *doc, const json_t *test);
/* testcheck.c: appends what is not as expected. doc: of the run. */
struct err *MUST test_check(struct expr_space *space, const json_t *test, const json_t *doc,
                            json_t *failures);

#endif
