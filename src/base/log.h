/* log.h - the front of the log: who speaks, not where it goes.
 *
 * Modules below `app` log at debug level only and return everything else as errors. The sink is set
 * once by `app`, which also redacts secrets. With debug off a call costs one load and one branch.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H
#include "base/lang.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_OFF };
typedef void (*log_sink_fn)(void *ctx, enum log_level level, const char *area, const char *text);

extern enum log_level log_threshold;
void log_set(enum log_level threshold, log_sink_fn sink, void *ctx); /* NULL sink: stderr */
void log_write(enum log_level level, const char *area, const char *fmt, ...) FMT(3);

#define log_at(level, area, ...)                                                                   \
    do {                                                                                           \
        if ((level) >= log_threshold)                                                              \
            log_write(level, area, __VA_ARGS__);                                                   \
    } while (0)
#define log_debug(area, ...) log_at(LOG_DEBUG, area, __VA_ARGS__)
#define log_info(area, ...)  log_at(LOG_INFO, area, __VA_ARGS__)
#define log_warn(area, ...)  log_at(LOG_WARN, area, __VA_ARGS__)
#define log_error(area, ...) log_at(LOG_ERROR, area, __VA_ARGS__)
#endif
