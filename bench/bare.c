/* bare.c - the floor for a cold start: a C program that loads the same libraries, opens a WAL
 * database, makes the three calls of a chain one after the other with libcurl, and writes what came
 * back. No engine.
 *
 * usage: bare URL DATABASE */
#include <curl/curl.h>
#include <jansson.h>
#include <libfyaml.h>
#include <lua.h>
#include <microhttpd.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

static size_t
keep(char *p, size_t size, size_t n, void *ctx)
{
    json_t *parts = ctx;
    json_array_append_new(parts, json_stringn(p, size * n));
    return size * n;
}

static void
run_sql(sqlite3 *db, const char *sql)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) {
        fprintf(stderr, "bare: %s: %s\n", sql, sqlite3_errmsg(db));
        exit(1);
    }
}

int
main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    /* The same libraries, not only the ones used here. */
    const void *volatile held[] = {(const void *)uv_version, (const void *)MHD_get_version,
                                   (const void *)fy_library_version, (const void *)lua_gettop};
    (void)held;
    sqlite3 *db;
    if (sqlite3_open(argv[2], &db) != SQLITE_OK)
        return 1;
    run_sql(
        db,
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE IF NOT EXISTS j(b BLOB)");
    curl_global_init(CURL_GLOBAL_DEFAULT);
    CURL *c = curl_easy_init();
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    curl_easy_setopt(c, CURLOPT_URL, argv[1]);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, keep);
    for (int i = 0; i < 3; i++) {
        json_t *parts = json_array();
        curl_easy_setopt(c, CURLOPT_WRITEDATA, parts);
        curl_easy_setopt(c, CURLOPT_POSTFIELDS,
                         "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}");
        if (curl_easy_perform(c) != CURLE_OK)
            return 1;
        json_decref(parts);
        run_sql(db, "INSERT INTO j VALUES(randomblob(600))");
    }
    curl_slist_free_all(headers);
    curl_easy_cleanup(c);
    sqlite3_close(db);
    return 0;
}
