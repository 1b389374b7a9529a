/* clientcore.h - the inside of the HTTP client, for the files of this folder only.
 *
 * client -> hosts (scheme, name, port) -> shards (a curl multi each) -> calls (an easy handle
 * each). Why shards: a multi walks its connections for each call, so the cost of a call grows with
 * the calls in flight beside it. Why calls are kept: setting up an easy handle costs more than a
 * call.
 *
 * curl's callbacks run inside curl_multi_socket_action and may not call curl back, nor switch
 * fibers: they note what happened and wake the fiber that waits. */
#ifndef NET_CLIENTCORE_H
#define NET_CLIENTCORE_H
#include "base/map.h"
#include "base/vec.h"
#include "net/client.h"
#include "net/names.h"
#include "rt/fiber.h"
#include "rt/http.h"
#include "rt/loop.h"
#include "rt/rt.h"
#include <curl/curl.h>

#define SHARD_CALLS_MAX 100                        /* in flight in one multi */
#define HOST_IDLE_MS    90000                      /* connections unused for this long are closed */
#define TRIM_MS         10000                      /* how often what is idle is looked through */
#define HOSTS_MAX       1024                       /* known at once; idle ones make room */
#define URLS_MAX        512                        /* remembered: URL -> host without parsing */
#define HEAD_MAX        ((size_t)64 * 1024)        /* bytes of a reply's header */
#define BODY_HIGH       ((size_t)256 * 1024)       /* unread bytes at which we stop receiving */
#define REPLY_MAX       ((size_t)32 * 1024 * 1024) /* when the request does not say */
#define BORROW_BODY_MAX ((size_t)60 * 1000)        /* curl copies smaller HTTP/1 bodies at once */
#define BUFFER_KEEP     ((size_t)16 * 1024)        /* larger buffers are not kept with a call */
#define CONNECT_MS      10000

struct client {
    char *user_agent, *ca_file;
    const char *encodings; /* Accept-Encoding that this libcurl can decode */
    struct map *hosts;     /* by origin: struct host */
    struct map *urls;      /* by URL: struct host */
    struct names *names;
    VEC(struct sock *) socks; /* by descriptor */
    struct timer *trim;
    unsigned in_flight;
    uint64_t connects;
};

struct sock { /* a connection's descriptor on the loop; outlives its use by one transfer */
    struct client *client;
    struct shard *shard; /* whose multi it belongs to */
    struct poll *poll;
    int fd;
    unsigned want;
    bool ours; /* made by us; false: curl's own (a resolver's wake-up pair) */
    bool idle; /* no transfer uses it; still armed, so that the next one needs no system call */
};

struct host {
    struct client *client;
    char *origin, *label; /* "https://host:port"; "host:port" for messages */
    char *proxy;          /* URL, or NULL */
    char *dial_name;      /* what we connect to, when it has to be looked up; else NULL */
    char *dial_label;     /* "host:port" of it */
    unsigned dial_port;
    char *ca_file, *ca_dir; /* or NULL */
    bool tls;
    char *addrs, *resolve; /* as names_find gave them; "name:port:addrs" for curl */
    unsigned resolve_gen;  /* counts changes of it; 0: none yet */
    VEC(struct shard *) shards;
    size_t hint;    /* no shard before this one has room */
    unsigned users; /* fibers between finding the host and having a call */
    int64_t used_ms;
};

struct shard {
    struct host *host;
    CURLM *multi;
    struct timer *timer;
    size_t index;
    unsigned in_flight, open;      /* transfers; calls not yet closed by their reader */
    struct call *idle;             /* last used first */
    unsigned idle_count, idle_low; /* least since the last trim: so many were not needed */
    unsigned zero_timers;          /* curl asked "at once" so many times in a row */
    int64_t used_ms;
};

enum verb { VERB_NONE, VERB_GET, VERB_HEAD, VERB_BODY };
enum stop { STOP_NOT, STOP_HEAD, STOP_BODY, STOP_FRAMING }; /* why we ended a transfer ourselves */

struct call {
    struct http http; /* first: what the layers above hold */
    struct call *next_idle;
    struct shard *shard;
    CURL *easy;
    /* what the handle is set to; only differences are set again */
    char *url, *method;
    enum verb verb;
    struct str headers_key;
    struct curl_slist *headers;
    struct curl_slist *resolve; /* curl reads it when a transfer begins */
    unsigned resolve_gen;       /* of the host, when it was set */
    long connect_ms;
    /* the exchange */
    struct fiber *waiter;
    struct str sent; /* the request's body, when curl reads from it for long */
    struct str head; /* "name: value" NUL, ... */
    struct str body; /* decoded and not read yet */
    size_t head_total, reply_total, reply_max;
    int status;
    unsigned sends;  /* times the request was begun; 0: nothing has left */
    bool idempotent; /* curl may repeat it by itself */
    bool in_multi, head_done, done, paused, repeat_refused, broken;
    enum stop stop;
    int64_t length; /* Content-Length; -1: not seen */
    int os_error;
    CURLcode result;
    char errors[CURL_ERROR_SIZE];
};

/* shard.c */
struct err *MUST host_find(struct client *c, const char *url, struct host **ret_host);
struct err *MUST host_resolve(struct host *h, int64_t deadline_ms) YIELDS;
struct shard *shard_find(struct host *h);
void shard_begin(struct shard *s, struct call *c);
void shard_remove(struct shard *s, struct call *c);    /* the transfer ends here, if it runs */
void shard_event(struct shard *s, int fd, int events); /* CURL_CSELECT_*; it may be gone after */
void client_trim(void *client);
void hosts_free(struct client *c);
/* sock.c */
struct sock *sock_get(struct client *c, int fd);
int sock_changed(CURL *easy, curl_socket_t fd, int what, void *shard, void *unused);
curl_socket_t sock_open(void *call, curlsocktype purpose, struct curl_sockaddr *addr);
int sock_close(void *client, curl_socket_t fd);
/* call.c */
struct err *MUST net_request_check(const struct http_req *req);
struct call *OWN call_new(struct shard *s);
void call_free(struct call *OWN c);
void call_prepare(struct call *c, const struct http_req *req);
void call_finish(struct call *c, CURLcode result); /* the transfer is over */
void call_recycle(struct call *OWN c);             /* back to its shard */
/* fault.c */
struct err *MUST call_fault(const struct call *c); /* why it failed */

#endif
