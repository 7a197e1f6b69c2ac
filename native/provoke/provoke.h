/* Shared by the programs that each provoke one behaviour in a build step: targets, and exit codes that say what
 * happened, so that a test can tell "the kernel refused" from "nobody tried". */
#ifndef PROVOKE_H
#define PROVOKE_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    DONE = 0,
    FAILED = 1,
    REFUSED = 10,
    TIMED_OUT = 11,
    UNREACHABLE = 12,
    IN_PROGRESS = 13,
    NOT_PERMITTED = 14,
    NOT_SUPPORTED = 20,
    USAGE = 64,
};

struct target {
    struct sockaddr_storage address;
    socklen_t length;
};

static inline int usage(const char *text)
{
    fprintf(stderr, "usage: %s\n", text);
    return USAGE;
}

static inline struct target parse_target(const char *address, const char *port)
{
    struct target target = {0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&target.address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&target.address;
    if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((unsigned short)atoi(port));
        target.length = sizeof *v4;
    } else if (inet_pton(AF_INET6, address, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((unsigned short)atoi(port));
        target.length = sizeof *v6;
    } else {
        fprintf(stderr, "not an address: %s\n", address);
        exit(USAGE);
    }
    return target;
}

static inline int outcome(int result, int error)
{
    if (result >= 0)
        return DONE;
    switch (error) {
    case ECONNREFUSED: return REFUSED;
    case ETIMEDOUT: return TIMED_OUT;
    case ENETUNREACH:
    case EHOSTUNREACH: return UNREACHABLE;
    case EINPROGRESS: return IN_PROGRESS;
    case EPERM:
    case EACCES: return NOT_PERMITTED;
    case ENOSYS:
    case EOPNOTSUPP: return NOT_SUPPORTED;
    default: return FAILED;
    }
}

/* One line on standard output, the exit code for the caller. */
static inline int report(const char *what, int result, int error)
{
    printf("%s: %s\n", what, result >= 0 ? "ok" : strerror(error));
    return outcome(result, error);
}

#endif
