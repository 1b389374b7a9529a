/* knownmodel.c - a table of models; the first pattern that fits counts. */
#include "llm/knownmodel.h"
#include "base/str.h"

static const struct known_model models[] = {
    {"gpt-4.1*", 1047576, 32768, true},
    {"gpt-4o*", 128000, 16384, true},
    {"gpt-4-turbo*", 128000, 4096, true},
    {"gpt-4-32k*", 32768, 32768, false},
    {"gpt-4", 8192, 8192, false},
    {"gpt-4-0613", 8192, 8192, false},
    {"gpt-3.5-turbo*", 16385, 4096, false},
    {"claude-3-5-*", 200000, 8192, true},
    {"claude-3-7-*", 200000, 64000, true},
    {"claude-3-*", 200000, 4096, true},
    {"claude-sonnet-4-*", 200000, 64000, true},
    {"claude-opus-4-*", 200000, 32000, true},
    {"gemini-2.5-*", 1048576, 65536, true},
    {"gemini-2.0-flash*", 1048576, 8192, true},
    {"gemini-1.5-pro*", 2097152, 8192, true},
    {"gemini-1.5-flash*", 1048576, 8192, true},
};

const struct known_model *
known_model_find(const char *model)
{
    for (size_t i = 0; i < COUNT(models); i++) {
        if (str_glob(models[i].model, model))
            return &models[i];
    }
    return NULL;
}
