/* gemini.h - what gemini.c and batchgemini.c share. */
#ifndef LLM_GEMINI_H
#define LLM_GEMINI_H
#include "base/str.h"

/* "/models/NAME:VERB", below the base URL. */
char *OWN gemini_path(const char *model, const char *verb);

#endif
