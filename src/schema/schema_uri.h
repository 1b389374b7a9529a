/* schema_uri.h - the part of RFC 3986 that references between schemas need: joining a reference to
 * its base (section 5.2) and decoding a fragment. Nothing is checked for being a URI, nothing is
 * fetched. */
#ifndef SCHEMA_SCHEMA_URI_H
#define SCHEMA_SCHEMA_URI_H
#include "base/lang.h"

/* The absolute form of ref as seen from base, without its fragment. base may be "" and then the
 * reference is left as it is, but for its dot segments. malloc'd. */
char *OWN uri_join(const char *base, const char *ref);
/* What follows the first '#', or "". Borrowed from ref. */
const char *uri_fragment(const char *ref);
/* %41 becomes A. NULL when an escape is malformed or stands for NUL. malloc'd. */
char *OWN uri_decode(const char *text);
#endif
