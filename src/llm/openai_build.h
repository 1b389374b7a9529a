/* openai_build.h - the request half of openai.c: conversation, tools, schema and parameters. */
#ifndef LLM_OPENAI_BUILD_H
#define LLM_OPENAI_BUILD_H
#include "llm/provider.h"

struct err *MUST openai_build(const struct llm_call *c, struct wire *w);

#endif
