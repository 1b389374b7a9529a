/* appcore.h - the inside of an app; for the files of this folder only. */
#ifndef APP_APPCORE_H
#define APP_APPCORE_H
#include "app/app.h"
#include "base/map.h"
#include "base/vec.h"
#include "llm/llm.h"
#include "mcp/servers.h"

#define FILE_BYTES_MAX ((size_t)16 << 20)
#define KEY_BYTES      32

struct app {
    struct app_opts opts;
    struct store *store;
    struct engine *engine;
    struct llm *llm;
    struct servers *servers; /* NULL until a file that has some is used */
    struct secrets *secrets;
    struct map *dotenv; /* name -> value, owned */
    struct spec_env env;
    unsigned char install_key[KEY_BYTES];
    const char *root;  /* what file reads are held under; one of roots */
    VEC(char *) roots; /* of all files so far: runs that are under way borrow them */
};

struct err *MUST app_expand(void *app, const char *text, char **OWN ret_text); /* ${NAME} */

/* toolservers.c: the run's own connections end with it; for the engine. */
void app_run_over(void *app, const char *run_id);

#endif
