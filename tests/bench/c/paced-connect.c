// paced-connect ADDRESS PORT COUNT GAP_MS: one TCP connect to each of COUNT addresses from ADDRESS up, GAP_MS apart, then
// prints "connect ADDRESS NANOSECONDS" for each (wall clock just before connect(2)). Non-blocking: what the other side
// answers does not matter, an attempt counts.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    if (argc != 5 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1)
        return 64;
    long port = atol(argv[2]), count = atol(argv[3]), gap = atol(argv[4]);
    uint32_t first = ntohl(to.sin_addr.s_addr);
    struct timespec *when = calloc((size_t)count, sizeof *when);
    struct timespec pause = {.tv_sec = gap / 1000, .tv_nsec = gap % 1000 * 1000000};
    to.sin_port = htons((unsigned short)port);
    for (long i = 0; i < count; i++) {
        to.sin_addr.s_addr = htonl(first + (uint32_t)i);
        int s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        clock_gettime(CLOCK_REALTIME, &when[i]);
        connect(s, (struct sockaddr *)&to, sizeof to);
        nanosleep(&pause, NULL);
        close(s);
    }
    for (long i = 0; i < count; i++) {
        to.sin_addr.s_addr = htonl(first + (uint32_t)i);
        printf("connect %s %lld\n", inet_ntoa(to.sin_addr), (long long)when[i].tv_sec * 1000000000 + when[i].tv_nsec);
    }
    return 0;
}
