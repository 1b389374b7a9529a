/* tester.h - the tests that stand in files (`tests:`): a workflow run on a store in memory, with
 * scripted or recorded models, and what is expected of it.
 *
 * Each test has a runtime and an engine of its own. Unless it says otherwise its clock is virtual:
 * pauses and timeouts take no time, and nothing outside the process can be called. To be called
 * outside of any runtime. */
#ifndef APP_TESTER_H
#define APP_TESTER_H
#include "app/app.h"
#include "base/vec.h"

struct tester_opts {
    const char *const *paths; /* files and folders; none: the current folder */
    size_t npaths;
    const char *filter; /* names that hold this, or match it when it has * or ?; NULL: all */
    bool record;        /* real models and a real clock; what they answer goes to `recording` */
    /* After each file, or NULL: {"file", "tests"}; e, borrowed: why it could not be run. */
    void (*each)(void *ctx, const json_t *of_file, const struct err *e);
    void *ctx;
};
/* Runs them all, one after the other, also where a file of them cannot be run. *ret_report:
 * {"passed", "failed", "tests": [{"file", "name", "workflow", "ok", "status", "duration_ms",
 * "virtual", "failures": [{"what", "expected", "actual", "diff"}], "output"}], "errors": [{"file",
 * "error"}]}. ERR_MISSING: a path is not there, there are no tests, or none of that name. */
struct err *MUST tests_run(const struct tester_opts *o, json_t **OWN ret_report);

/* ---- parts of it ----------------------------------------------------------- */

/* testfiles.c: the files that the paths stand for, each once, in order. A folder stands for its
 * tutti.yaml, and for *.test.yaml, .yml and .json in it and in the folders below (not hidden ones,
 * not behind links). ERR_MISSING: a path is not there, or a folder has none of these. */
#define TEST_FILES_MAX   10000
#define TEST_FOLDERS_MAX 32 /* in each other */
struct test_files {
    VEC(struct test_file {
        char *path;
        bool usual; /* a folder's tutti.yaml: it may be without tests */
    })
    list;
};
struct err *MUST test_files_find(const char *const *paths, size_t n, struct test_files *to);
void test_files_fini(struct test_files *f);
/* testcast.c: the document as the test wants it: agents answered for by `replies`. */
struct err *MUST test_cast(json_t *doc, const json_t *test);
/* testcheck.c: appends what is not as expected. doc: of the run. */
struct err *MUST test_check(struct expr_space *space, const json_t *test, const json_t *doc,
                            json_t *failures);

#endif
