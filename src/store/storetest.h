/* storetest.h - what the tests of the store share: a world with an open store, and expectations
 * that are noted in the fiber and asserted on the main stack (cmocka leaves with longjmp). */
#ifndef STORE_STORETEST_H
#define STORE_STORETEST_H
#include "base/test.h"
#include "rt/rt.h"
#include "store/store.h"

struct world {
    struct store *s;       /* the one under test */
    struct store *owner;   /* remote: who has the folder */
    struct store_mem *mem; /* mem: the disk */
    char *dir;
    struct str failed; /* what did not hold, or empty */
    unsigned ids;
};
typedef void (*scenario_fn)(struct world *w);

#define EXPECT(cond)                                                                               \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            str_addf(&w->failed, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                        \
            return;                                                                                \
        }                                                                                          \
    } while (0)
#define EXPECT_OK(call)                                                                            \
    do {                                                                                           \
        struct err *ex_ = (call);                                                                  \
        if (ex_) {                                                                                 \
            AUTO(freep) char *ext_ = err_text(ex_);                                                \
            str_addf(&w->failed, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call, ext_);              \
            err_free(ex_);                                                                         \
            return;                                                                                \
        }                                                                                          \
    } while (0)
#define EXPECT_ERR(call, kind)                                                                     \
    do {                                                                                           \
        struct err *ex_ = (call);                                                                  \
        int exk_ = ex_ ? (int)err_kind(ex_) : -1;                                                  \
        AUTO(freep) char *ext_ = ex_ ? err_text(ex_) : NULL;                                       \
        err_free(ex_);                                                                             \
        if (exk_ != (int)(kind)) {                                                                 \
            str_addf(&w->failed, "%s:%d: %s: wanted %s, got %s\n", __FILE__, __LINE__, #call,      \
                     err_kind_name(kind), ext_ ? ext_ : "success");                                \
            return;                                                                                \
        }                                                                                          \
    } while (0)

#define EXPECT_TOLD(call, want)                                                                    \
    do {                                                                                           \
        AUTO(str_fini) struct str told_ = STR_INIT;                                                \
        test_told(w, &told_, call);                                                                \
        if (!str_eq(str_c(&told_), want)) {                                                        \
            str_addf(&w->failed, "%s:%d: %s: '%s'\n", __FILE__, __LINE__, #call, str_c(&told_));   \
            return;                                                                                \
        }                                                                                          \
    } while (0)

/* "kind: text" of the error, "kind, in doubt: text" or "ok", the folder's name cut out of it. */
void test_told(struct world *w, struct str *to, struct err *OWN e);
char *OWN test_dir_new(void);      /* an empty folder */
void test_dir_free(char *OWN dir); /* and all that is in it */
void test_id(struct world *w, char id[RUN_ID_LEN]);
/* A new run with one record, owned by s. */
struct err *MUST test_run(struct world *w, struct store *s, struct store_lease *ret_lease);
/* Commits one record with this body. */
struct err *MUST test_step(struct store *s, struct store_lease *lease, const char *body);
struct err *MUST test_end(struct store *s, struct store_lease *lease);
/* The number of records that read back as test_run and test_step wrote them; -1: an error. */
int test_count(struct store *s, const char *id);
struct scenario {
    const char *name;
    scenario_fn fn;
};
/* Each scenario on a new store of this driver, which must find nothing wrong afterwards. */
void test_on_driver(const char *driver, bool simulated, const struct scenario *list, size_t n);
/* Runs the scenario in a fiber of a new runtime; asserts that nothing failed. */
void test_in_fiber(struct world *w, bool simulated, scenario_fn fn);

#endif
