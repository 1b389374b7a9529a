/* playback.h - the n-th answer of a recorded conversation, for the script provider.
 *
 * The conversation is a list of messages (content may be plain text), a text with lines "---USER"
 * and "---ASSISTANT" in front of what each said, or the path of a file that holds either. */
#ifndef LLM_PLAYBACK_H
#define LLM_PLAYBACK_H
#include "base/json.h"

/* *ret_content: parts of answer `turn` (0: the first), or one text part that begins with "MESSAGES
 * EXHAUSTED" past the end. dir: where relative paths start; NULL: ".". Errors of reading the file,
 * ERR_INVALID for what is no conversation. */
struct err *MUST playback_answer(const json_t *playback, const char *dir, size_t turn,
                                 json_t **OWN ret_content);

#endif
