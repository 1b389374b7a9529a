/* ownertest.h - an owner of a folder, played by hand: it greets as told, and answers what the test
 * makes up. */
#ifndef STORE_REMOTE_OWNERTEST_H
#define STORE_REMOTE_OWNERTEST_H
#include "rt/fiber.h"
#include "store/remote/wire.h"
#include "store/storetest.h"

enum greeting { WELCOME, OTHER_VERSION, OTHER_FRAME, REFUSE, REFUSE_DUMB, HANG_UP };

struct owner {
    struct world *w;
    enum greeting greeting;
    struct listener *listener;
    int lock;
    struct scope scope;
    int connections, requests;
    bool stall; /* the first connection: reads nothing, and talks nonsense after a while */
    /* Makes the answer to a request; false: hangs up instead. */
    bool (*answer)(struct owner *o, struct request *r, struct str *frame, int64_t id);
    const struct nonsense *row; /* what `answer` goes by */
    bool retried;               /* the last request said so */
};

/* The frame that answers request `id` with the results in r. */
void owner_reply(struct str *frame, int64_t id, const struct request *r);
struct err *MUST owner_open(struct owner *o) YIELDS;
void owner_close(struct owner *o) YIELDS;

#endif
