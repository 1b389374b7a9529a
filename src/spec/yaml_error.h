/* yaml_error.h - what to tell a user whose YAML cannot be read. Used by yaml.c alone.
 *
 * libfyaml's messages name its grammar; these name what the user wrote and how to mend it. */
#ifndef SPEC_YAML_ERROR_H
#define SPEC_YAML_ERROR_H
#include "base/map.h"
#include "spec/yaml.h"

struct fy_token;

/* libfyaml's message in our words; open: the innermost container not closed, or NULL. */
struct err *OWN MUST yaml_syntax_error(struct src_pos at, const char *fy_message,
                                       const struct ynode *open);
struct err *OWN MUST yaml_unknown_alias(struct src_pos at, const char *name,
                                        const struct map *anchors);
/* libfyaml stops without a word where list items and map keys stand side by side. */
struct err *OWN MUST yaml_mixed_error(const struct yfile *file, size_t from, size_t to);
bool yaml_is_blank(const struct yfile *file, size_t from, size_t to); /* comments at most */
/* libfyaml 0.7 frees a key twice, and the process dies when its parser is closed, where a tab
 * stands between ':' and the start of a block inside of a key that '?' began. Such a text is
 * refused before (and with it the same tab anywhere behind a '?' that looks like the start of a
 * key). text: the bytes of the range as they go to the parser. */
struct err *MUST yaml_check_tabs(const struct yrange *range, const char *text);
/* Accepts YAML's own tags that fit: !!map, !!seq, !!str ... A tag on a scalar sets its style, so
 * that the scalar means what the tag says. t: NULL when there is no tag. */
struct err *MUST yaml_tag_check(struct fy_token *t, struct src_pos at, const char *what,
                                struct ynode *scalar);
#endif
