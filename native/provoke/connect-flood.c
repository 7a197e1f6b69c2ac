/* N connects as fast as one thread can make them, each on a new socket: the load that a sensor must survive.
 * Prints how many were attempted and how long one took. */
#include "provoke.h"
#include <time.h>

int main(int argc, char **argv)
{
    if (argc < 4)
        return usage("connect-flood ADDRESS PORT COUNT");

    struct target target = parse_target(argv[1], argv[2]);
    long count = atol(argv[3]);
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (long i = 0; i < count; i++) {
        int fd = socket(target.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (fd < 0)
            return report("socket", fd, errno);
        connect(fd, (struct sockaddr *)&target.address, target.length);
        close(fd);
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    double seconds = (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9;
    printf("connect-flood: %ld in %.3f s, %.1f us each\n", count, seconds, count > 0 ? seconds * 1e6 / (double)count : 0);
    return DONE;
}
