/* rpc_test.c - the codec by tables: what is read as what, what is repaired, what is refused. */
#include "base/test.h"
#include "mcp/rpc.h"

/* kind|method|id|params|result|error of a message, or why it is none. */
static void
show(const char *text, size_t n, struct str *to)
{
    static const char *const kinds[] = {"request", "notification", "result", "error", "batch"};
    struct rpc_msg m;
    struct err *e = rpc_parse(text, n, &m);
    if (e) {
        AUTO(freep) char *why = err_text(e);
        str_addf(to, "%s: %s", err_kind_name(err_kind(e)), why);
        err_free(e);
        return;
    }
    str_addf(to, "%s|%s|", kinds[m.kind], m.method ? m.method : "");
    const json_t *parts[] = {m.id, m.params, m.result, m.error};
    for (size_t i = 0; i < COUNT(parts); i++) {
        if (parts[i])
            json_write(to, parts[i]);
        str_add(to, i + 1 < COUNT(parts) ? "|" : "");
    }
    rpc_msg_fini(&m);
}

#define V "\"jsonrpc\":\"2.0\""

static void
parsing(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"{" V ",\"id\":1,\"method\":\"a/b\",\"params\":{\"x\":1}}", "request|a/b|1|{\"x\":1}||"},
        {"{\"method\":\"m\",\"id\":\"s\"," V "}", "request|m|\"s\"|||"},
        {"{" V ",\"id\":-7,\"method\":\"m\",\"params\":[1]}", "request|m|-7|[1]||"},
        {"{" V ",\"method\":\"m\"}", "notification|m||||"},
        {"{" V ",\"method\":\"m\",\"params\":null}", "notification|m||||"},
        {"{\"result\":{}," V ",\"id\":0}", "result||0||{}|"},
        {"{" V ",\"id\":1,\"result\":null}", "result||1||null|"},
        {"{" V ",\"id\":1,\"result\":{},\"error\":null}", "result||1||{}|"},
        {"{" V ",\"id\":1,\"error\":{\"code\":-1,\"message\":\"m\"}}",
         "error||1|||{\"code\":-1,\"message\":\"m\"}"},
        {"{" V ",\"id\":null,\"error\":{\"code\":-32700,\"message\":\"m\"}}",
         "error|||||{\"code\":-32700,\"message\":\"m\"}"},
        {"{" V ",\"error\":{\"code\":1}}", "error|||||{\"code\":1}"},
        {"[{}]", "batch|||||"},
        {" \t{" V ",\"method\":\"m\"}\r", "notification|m||||"},
        {"{" V ",\"method\":\"\xe2\x80\xa8\"}", "notification|\xe2\x80\xa8||||"},
        /* repaired */
        {"{" V ",\"id\":\"\\u0000\",\"method\":\"m\"}", "request|m|\"\xef\xbf\xbd\"|||"},
        {"{" V ",\"id\":\"\\ud83d\",\"method\":\"m\"}", "request|m|\"\xef\xbf\xbd\"|||"},
        {"{" V ",\"id\":\"\\uDE00x\",\"method\":\"m\"}", "request|m|\"\xef\xbf\xbdx\"|||"},
        {"{" V ",\"id\":\"\\ud83d\\ude00\\ud83d\",\"method\":\"m\"}",
         "request|m|\"\xf0\x9f\x98\x80\xef\xbf\xbd\"|||"},
        {"{" V ",\"id\":\"\\ud83d\\\\ude00\",\"method\":\"m\"}",
         "request|m|\"\xef\xbf\xbd\\\\ude00\"|||"},
        {"{" V ",\"id\":\"\\\\u0000\",\"method\":\"m\",\"params\":{\"a\":\"\\u0000\"}}",
         "request|m|\"\\\\u0000\"|{\"a\":\"\xef\xbf\xbd\"}||"},
        {"{" V ",\"id\":\"a\xff\xfe\",\"method\":\"m\"}",
         "request|m|\"a\xef\xbf\xbd\xef\xbf\xbd\"|||"},
        /* refused */
        {"", NULL},
        {"Server started", NULL},
        {"{" V ",\"method\":\"m\"} {}", NULL},
        {"{" V ",\"method\":\"m\",\"method\":\"n\"}", NULL},
        {"{" V ",\"method\":\"\\", NULL},
        {"{" V ",\"method\":\"\\u", NULL},
        {"{" V ",\"method\":\"\\ud8", NULL},
        {"7", "invalid: not a message: \"jsonrpc\": \"2.0\" is missing"},
        {"{}", "invalid: not a message: \"jsonrpc\": \"2.0\" is missing"},
        {"{\"jsonrpc\":\"1.0\",\"method\":\"m\"}",
         "invalid: not a message: \"jsonrpc\": \"2.0\" is missing"},
        {"{\"jsonrpc\":2.0,\"method\":\"m\"}",
         "invalid: not a message: \"jsonrpc\": \"2.0\" is missing"},
        {"{" V "}", "invalid: a message without 'method', 'result' and 'error'"},
        {"{" V ",\"method\":7}", "invalid: a message without 'method', 'result' and 'error'"},
        {"{" V ",\"id\":null,\"method\":\"m\"}",
         "invalid: the id of 'm' is neither a string nor an integer"},
        {"{" V ",\"id\":1.5,\"method\":\"m\"}",
         "invalid: the id of 'm' is neither a string nor an integer"},
        {"{" V ",\"id\":{},\"method\":\"m\"}",
         "invalid: the id of 'm' is neither a string nor an integer"},
        {"{" V ",\"method\":\"m\",\"params\":7}",
         "invalid: 'params' of 'm' is neither object nor array"},
        {"{" V ",\"result\":1}", "invalid: a result's id is neither a string nor an integer"},
        {"{" V ",\"id\":1,\"error\":\"x\"}", "invalid: an error without an integer 'code'"},
        {"{" V ",\"id\":1,\"error\":{\"code\":\"x\"}}",
         "invalid: an error without an integer 'code'"},
        {"{" V ",\"id\":[],\"error\":{\"code\":1}}",
         "invalid: an error's id is neither a string nor an integer"},
        {"[]", "invalid: a batch of 0 messages; 1 to 1000 are accepted"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct str got = STR_INIT;
        show(rows[i][0], strlen(rows[i][0]), &got);
        if (rows[i][1])
            assert_string_equal(str_c(&got), rows[i][1]);
        else
            assert_true(str_starts(str_c(&got), "invalid: not JSON: "));
        str_fini(&got);
    }
}

static void
bounds(void **state)
{
    (void)state;
    struct str text = STR_INIT, got = STR_INIT;
    str_add(&text, "{" V ",\"method\":\"m\",\"params\":");
    for (int i = 0; i < 200; i++)
        str_addc(&text, '[');
    show(text.p, text.len, &got);
    assert_string_equal(str_c(&got), "invalid: not JSON: nested deeper than 128");
    str_reset(&got);
    str_reset(&text); /* a long id */
    str_add(&text, "{" V ",\"method\":\"m\",\"id\":\"");
    for (int i = 0; i <= RPC_ID_MAX; i++)
        str_addc(&text, 'x');
    str_add(&text, "\"}");
    show(text.p, text.len, &got);
    assert_string_equal(str_c(&got), "invalid: the id of 'm' is neither a string nor an integer");
    str_reset(&got);
    str_reset(&text); /* more values than memory should be spent on */
    str_add(&text, "[0");
    for (size_t i = 0; i <= RPC_VALUES_MAX; i++)
        str_add(&text, ",0");
    str_add(&text, "]");
    show(text.p, text.len, &got);
    assert_string_equal(str_c(&got), "limit: a message of over 2000000 values");
    str_reset(&got);
    show(text.p, RPC_BYTES_MAX + 1, &got); /* refused by its length: not even looked at */
    assert_string_equal(str_c(&got),
                        "limit: a message of 67108865 bytes; at most 67108864 are accepted");
    str_fini(&text);
    str_fini(&got);
}

static void
writing(void **state)
{
    (void)state;
    struct str s = STR_INIT;
    json_t *params = json_pack("{ss}", "a", "x\ny\xe2\x80\xa8\"");
    json_t *id = json_string("i\"d"), *zero = json_integer(0);
    rpc_write_request(&s, 18446744073709551615u, "m", params);
    str_addc(&s, '\n');
    rpc_write_request(&s, 1, "m", NULL);
    str_addc(&s, '\n');
    rpc_write_notification(&s, "n/\"x", params);
    str_addc(&s, '\n');
    rpc_write_result(&s, id, params);
    str_addc(&s, '\n');
    rpc_write_error(&s, zero, -32601, "no \"such\"\nthing \xff");
    str_addc(&s, '\n');
    rpc_write_error(&s, NULL, -32700, "x");
    assert_string_equal(
        str_c(&s), "{" V ",\"id\":18446744073709551615,\"method\":\"m\",\"params\":{\"a\":"
                   "\"x\\ny\xe2\x80\xa8\\\"\"}}\n"
                   "{" V ",\"id\":1,\"method\":\"m\"}\n"
                   "{" V ",\"method\":\"n/\\\"x\",\"params\":{\"a\":\"x\\ny\xe2\x80\xa8\\\"\"}}\n"
                   "{" V ",\"id\":\"i\\\"d\",\"result\":{\"a\":\"x\\ny\xe2\x80\xa8\\\"\"}}\n"
                   "{" V ",\"id\":0,\"error\":{\"code\":-32601,\"message\":\"no "
                   "\\\"such\\\"\\nthing \xef\xbf\xbd\"}}\n"
                   "{" V ",\"error\":{\"code\":-32700,\"message\":\"x\"}}");
    json_decref(params);
    json_decref(id);
    json_decref(zero);
    str_fini(&s);
}

static void
errors(void **state)
{
    (void)state;
    static const struct {
        const char *error;
        enum err_kind kind;
        bool in_doubt;
        const char *text;
    } rows[] = {
        {"{\"code\":-32601,\"message\":\"m\"}", ERR_MISSING, false, "m"},
        {"{\"code\":-32002,\"message\":\"m\"}", ERR_MISSING, false, "m"},
        {"{\"code\":-32602,\"message\":\"m\"}", ERR_INVALID, false, "m (error -32602)"},
        {"{\"code\":-32600,\"message\":\"m\"}", ERR_INVALID, false, "m (error -32600)"},
        {"{\"code\":429}", ERR_INVALID, false, "no message (error 429)"},
        {"{\"code\":-32603,\"message\":\"m\"}", ERR_TRANSIENT, true, "m (error -32603)"},
        {"{\"code\":-32000,\"message\":\"m\"}", ERR_TRANSIENT, true, "m (error -32000)"},
        {"{\"code\":-32001,\"message\":\"m\"}", ERR_TRANSIENT, true, "m (error -32001)"},
        {"{\"code\":-32042,\"message\":\"m\",\"data\":{\"elicitations\":[{\"url\":\"https://"
         "a\"},{},"
         "{\"url\":\"https://b\"}]}}",
         ERR_DENIED, false, "m; visit https://a; visit https://b"},
        {"{\"code\":-32042,\"message\":\"m\",\"data\":7}", ERR_DENIED, false, "m"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        json_t *j;
        assert_ok(json_parse(rows[i].error, strlen(rows[i].error), &j));
        struct err *e = rpc_error_to_err(j);
        assert_int_equal(err_in_doubt(e), rows[i].in_doubt);
        assert_err(e, rows[i].kind, rows[i].text);
        json_decref(j);
    }
    json_t *j = json_pack("{si so}", "code", 1, "message", json_string_lossy("", 0));
    struct str long_text = STR_INIT; /* cut at a character, not inside one */
    for (int i = 0; i < 1500; i++)
        str_add(&long_text, "\xc3\xa9");
    json_object_set_new(j, "message", json_string(long_text.p));
    struct err *e = rpc_error_to_err(j);
    char *text = err_text(e);
    assert_true(utf8_valid(text, strlen(text)));
    assert_true(strlen(text) < 2050);
    free(text);
    err_free(e);
    json_decref(j);
    str_fini(&long_text);
}

TESTS(rpc_test, cmocka_unit_test(parsing), cmocka_unit_test(bounds), cmocka_unit_test(writing),
      cmocka_unit_test(errors))
