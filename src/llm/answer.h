/* answer.h - a reply being put together, from a whole body or from the pieces of a stream.
 *
 * Pieces are found by kind and index, in the order in which they first appeared; answer_close turns
 * them into the reply's parts. The invariant afterwards: ids of calls are unique in the whole
 * conversation (made up where the provider gave none or one that was used before), their names are
 * those of the request's tools, and `finish` says LLM_TOOL_CALLS exactly when there are calls and
 * the model was not cut short. */
#ifndef LLM_ANSWER_H
#define LLM_ANSWER_H
#include "base/vec.h"
#include "llm/llm.h"

#define ANSWER_PIECES_MAX 1024       /* parts of one reply */
#define ANSWER_BYTES_MAX  (32 << 20) /* of one reply */

enum piece_kind { PIECE_TEXT, PIECE_CALL, PIECE_OPAQUE };
struct piece {
    enum piece_kind kind;
    int64_t index;
    struct str text; /* text; arguments of a call; what a provider gathers for an opaque part */
    struct str more; /* a second text of an opaque part: a signature */
    char *id, *name; /* of a call */
    json_t *value;   /* OPAQUE: its data; CALL and TEXT: "keep" of the provider, or NULL */
};
struct answer {
    struct llm_reply *reply; /* content, finish, usage, model and id are filled in directly */
    const struct llm_request *req;
    const char *provider;
    VEC(struct piece) pieces;
    size_t bytes;  /* gathered so far */
    bool counted;  /* the provider said how many tokens */
    bool finished; /* a reason to stop was given */
    bool ended;    /* the stream's end mark was seen */
};

void answer_init(struct answer *a, const char *provider, const struct llm_request *req,
                 struct llm_reply *reply);
void answer_fini(struct answer *a); /* not the reply */

/* For whole bodies. The string is shared, not copied; empty ones are left out. */
void answer_add_text(struct answer *a, json_t *string);
void answer_add_call(struct answer *a, const char *id, const char *name, json_t *OWN arguments);
/* The same with arguments as text: an object, "" for none, or what the model garbled. */
void answer_add_call_text(struct answer *a, const char *id, const char *name, const char *text,
                          size_t n);
void answer_add_opaque(struct answer *a, json_t *OWN data);
void answer_keep(struct answer *a, json_t *OWN data);     /* "keep" for the part added last */
void answer_set_text(char **field, const json_t *string); /* model, id; kept when not a string */

/* A number of tokens, as far as anybody can have counted; 0 for none or nonsense. */
int64_t answer_count(const json_t *usage, const char *key);

/* For streams. The last piece of that kind and index, made when there is none; NULL when there are
 * too many. */
struct piece *answer_piece(struct answer *a, enum piece_kind kind, int64_t index);
struct piece *answer_piece_new(struct answer *a, enum piece_kind kind, int64_t index);
struct piece *answer_piece_find(struct answer *a, enum piece_kind kind, int64_t index);
/* Adds text to a piece; ERR_LIMIT when the reply grows too long. */
struct err *MUST answer_grow(struct answer *a, struct str *to, const char *text, size_t n);
struct err *MUST answer_text(struct answer *a, int64_t index, const json_t *string);

/* Sets text and tool_calls from the content. */
void llm_reply_index(struct llm_reply *r);
/* Pieces to parts, names and ids put right, text and tool_calls set. */
struct toolnames;
void answer_close(struct answer *a, const struct toolnames *names);

#endif
