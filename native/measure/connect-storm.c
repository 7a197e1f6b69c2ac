/* connect-storm COUNT [PERIOD_US]: COUNT UDP connects to 127.0.0.1:9, back to back or one every PERIOD_US.
 *
 * A UDP connect sends nothing and waits for nobody: what it costs beyond itself is what audit costs the caller.
 * Prints "mean p50 p99 max cpu" in nanoseconds per connect; the last is CPU time of this process per connect.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

static long long now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
    long long x = *(const long long *)a, y = *(const long long *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    long count = argc > 1 ? atol(argv[1]) : 10000;
    long long period = argc > 2 ? atol(argv[2]) * 1000LL : 0;
    long long *took = calloc(count, sizeof *took);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (took == NULL || s < 0)
        return 1;

    long long cpu = now(CLOCK_PROCESS_CPUTIME_ID), next = now(CLOCK_MONOTONIC), sum = 0;
    for (long i = 0; i < count; i++) {
        if (period != 0) {
            next += period;
            struct timespec until = {next / 1000000000LL, next % 1000000000LL};
            clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
        }
        long long begin = now(CLOCK_MONOTONIC);
        connect(s, (struct sockaddr *)&to, sizeof to);
        took[i] = now(CLOCK_MONOTONIC) - begin;
        sum += took[i];
    }
    cpu = now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    qsort(took, count, sizeof *took, ascending);
    printf("%lld %lld %lld %lld %lld\n", sum / count, took[count / 2], took[count - 1 - count / 100], took[count - 1], cpu / count);
    return 0;
}
