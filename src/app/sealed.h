/* sealed.h - a simulated world out of which nothing gets: requests and programs are refused. */
#ifndef APP_SEALED_H
#define APP_SEALED_H

/* Into the current, simulated runtime. advice: what to do instead; borrowed for its life. */
void sealed_install(const char *advice);

#endif
