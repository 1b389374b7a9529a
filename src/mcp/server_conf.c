/* server_conf.c - from an entry of `mcp_servers` to a command line, an environment and roots. */
#include "mcp/server_conf.h"
#include "base/vec.h"
#include "net/url.h"
#include "rt/file.h"
#include "rt/proc.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONNECT_MS      10000
#define CALL_MS         60000
#define CONNECTIONS_MAX 1000
#define STDERR_KEEP     ((size_t)16 * 1024)

/* No time at all would let nothing succeed: 0 means the default. */
static int64_t
duration_or(const json_t *def, const char *key, int64_t otherwise)
{
    int64_t ms = json_int(def, key, 0);
    return ms > 0 ? ms : otherwise;
}

struct err *
server_conf_read(const char *name, const json_t *def, struct server_conf *ret_conf)
{
    const char *command = json_str(def, "command", ""), *url = json_str(def, "url", "");
    if (!*command && !*url)
        return FAIL(ERR_INVALID, "server '%s' has neither 'command' nor 'url'", name);
    if (*command && *url)
        return FAIL(ERR_INVALID, "server '%s' has both 'command' and 'url'", name);
    int64_t connections = json_int(def, "max_connections", 1);
    *ret_conf = (struct server_conf){
        .name = xstrdup(name),
        .def = json_deep_copy(def),
        .connect_ms = duration_or(def, "connect_timeout", CONNECT_MS),
        .call_ms = duration_or(def, "call_timeout", CALL_MS),
        .idle_ms = json_int(def, "idle_timeout", 0),
        .connections_max = (unsigned)MIN(MAX(connections, 1), CONNECTIONS_MAX),
        .required = json_bool(def, "required", false),
        .shared = json_bool(def, "shared", true),
    };
    return NULL;
}

void
server_conf_fini(struct server_conf *c)
{
    free(c->name);
    json_decref(c->def);
    *c = (struct server_conf){0};
}

/* A pattern may name the tool alone or with its server in front, as agents write it. */
static bool
any_matches(const json_t *globs, const char *server, const char *tool)
{
    size_t i;
    json_t *glob;
    AUTO(freep) char *full = xasprintf("%s.%s", server, tool);
    json_array_foreach (globs, i, glob) {
        const char *pattern = json_string_value(glob);
        if (pattern && (str_glob(pattern, tool) || str_glob(pattern, full)))
            return true;
    }
    return false;
}

bool
server_conf_allows(const struct server_conf *c, const char *tool)
{
    const json_t *tools = json_object_get(c->def, "tools");
    const json_t *allow = json_object_get(tools, "allow"), *deny = json_object_get(tools, "deny");
    if (json_is_array(allow) && !any_matches(allow, c->name, tool))
        return false;
    return !any_matches(deny, c->name, tool);
}

/* ---- texts ----------------------------------------------------------------- */

static struct err *
expand(const struct servers_opts *opts, const char *text, char **ret_text)
{
    if (opts->expand)
        return opts->expand(opts->expand_ctx, text, ret_text);
    *ret_text = xstrdup(text);
    return NULL;
}

struct words { /* a NULL-ended list of strings being gathered */
    char **at;
    size_t len, cap;
};

static void
words_fini(struct words *w)
{
    vec_each (w, s)
        free(*s);
    vec_fini(w);
}

static struct err *
words_add(struct words *w, const struct servers_opts *opts, const char *text)
{
    char *word;
    PASS(expand(opts, text, &word));
    vec_push(w, word);
    return NULL;
}

static struct err *
argv_make(const struct server_conf *c, const struct servers_opts *opts, struct words *argv)
{
    size_t i;
    json_t *arg;
    TRY(words_add(argv, opts, json_str(c->def, "command", "")), "'command'");
    json_array_foreach (json_object_get(c->def, "args"), i, arg) {
        AUTO(freep) char *text = json_as_text(arg);
        TRY(words_add(argv, opts, text), "'args', number %zu", i + 1);
    }
    vec_push(argv, NULL);
    return NULL;
}

static struct err *
env_make(const struct server_conf *c, const struct servers_opts *opts, struct words *env)
{
    const char *name;
    json_t *value;
    json_object_foreach (json_object_get(c->def, "env"), name, value) {
        AUTO(freep) char *text = json_as_text(value);
        AUTO(freep) char *plain = NULL;
        TRY(expand(opts, text, &plain), "'env', '%s'", name);
        vec_push(env, xasprintf("%s=%s", name, plain));
    }
    vec_push(env, NULL);
    return NULL;
}

static char *
base_of(const struct servers_opts *opts)
{
    if (opts->base_dir)
        return xstrdup(opts->base_dir);
    char *here = getcwd(NULL, 0);
    return here ? here : xstrdup("/");
}

/* ---- connecting ------------------------------------------------------------ */

struct err *
server_conf_connect(const struct server_conf *c, const struct servers_opts *opts,
                    struct transport **ret_transport)
{
    AUTO(words_fini) struct words argv = {0};
    AUTO(words_fini) struct words env = {0};
    AUTO(freep) char *base = base_of(opts);
    AUTO(freep) char *wanted = NULL;
    if (json_object_get(c->def, "url"))
        return FAIL(ERR_INVALID, "'url': only servers started by 'command' can be reached so far");
    PASS(argv_make(c, opts, &argv));
    PASS(env_make(c, opts, &env));
    TRY(expand(opts, json_str(c->def, "cwd", "."), &wanted), "'cwd'");
    AUTO(freep) char *cwd = path_join(base, wanted);
    return stdio_open(&(struct proc_opts){.argv = (const char *const *)argv.at,
                                          .env = (const char *const *)env.at,
                                          .cwd = cwd,
                                          .minimal_env = true, /* our keys are not theirs */
                                          .stderr_keep = STDERR_KEEP},
                      ret_transport);
}

/* ---- roots ----------------------------------------------------------------- */

static void
add_segment(struct str *uri, size_t root, const char *p, size_t n)
{
    if (n == 0 || (n == 1 && p[0] == '.'))
        return;
    if (n == 2 && p[0] == '.' && p[1] == '.') {
        while (uri->len > root && uri->p[--uri->len] != '/')
            ;
        uri->p[uri->len] = '\0';
        return;
    }
    AUTO(freep) char *name = xstrndup(p, n);
    str_addc(uri, '/');
    url_encode(uri, name);
}

char *
file_uri(const char *base_dir, const char *path)
{
    AUTO(freep) char *full = path_join(base_dir, path);
    struct str uri = STR_INIT;
    str_add(&uri, "file://");
    size_t root = uri.len;
    for (const char *p = full; *p;) {
        size_t n = strcspn(p, "/");
        add_segment(&uri, root, p, n);
        p += n + (p[n] == '/');
    }
    if (uri.len == root)
        str_addc(&uri, '/');
    return str_steal(&uri);
}

static struct err *
root_make(const json_t *root, const struct servers_opts *opts, const char *base, json_t **ret_root)
{
    const char *text = json_is_string(root) ? json_string_value(root)
                                            : json_str(root, "uri", json_str(root, "path", NULL));
    if (!text)
        return FAIL(ERR_INVALID, "neither a path nor an object with 'uri' or 'path'");
    AUTO(freep) char *plain = NULL;
    PASS(expand(opts, text, &plain));
    AUTO(freep) char *uri = str_starts(plain, "file://") ? xstrdup(plain) : file_uri(base, plain);
    const char *slash = strrchr(plain, '/');
    const char *name = json_str(root, "name", slash && slash[1] ? slash + 1 : plain);
    json_t *made = json_object();
    json_object_set_new(made, "uri", json_string_lossy(uri, strlen(uri)));
    json_object_set_new(made, "name", json_string_lossy(name, strlen(name)));
    *ret_root = made;
    return NULL;
}

struct err *
server_conf_roots(const struct server_conf *c, const struct servers_opts *opts, json_t **ret_roots)
{
    size_t i;
    json_t *root;
    AUTO(freep) char *base = base_of(opts);
    AUTO(json_freep) json_t *roots = json_array();
    json_array_foreach (json_object_get(c->def, "roots"), i, root) {
        json_t *made = NULL;
        TRY(root_make(root, opts, base, &made), "'roots', number %zu", i + 1);
        json_array_append_new(roots, made);
    }
    *ret_roots = STEAL(roots);
    return NULL;
}
