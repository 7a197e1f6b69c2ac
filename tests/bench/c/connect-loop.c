// connect-loop udp|tcp COUNT UID: COUNT connects over loopback as that user, back to back; prints, in nanoseconds,
// "wall mean p50 p99 max" (wall per iteration, the others of connect(2) alone).
//   udp: socket, connect to 127.0.0.0/8 port 53, close: nothing is sent.
//   tcp: connect to a listener of this process, accept, reset, close.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static void refuse(const char *what)
{
    perror(what);
    _exit(1);
}

static int run(int tcp, long count)
{
    int64_t *took = malloc(sizeof *took * (size_t)count);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(53)};
    struct linger reset = {.l_onoff = 1};
    int listener = -1;
    if (tcp) {
        socklen_t size = sizeof to;
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        to.sin_port = 0;
        listener = socket(AF_INET, SOCK_STREAM, 0);
        if (bind(listener, (struct sockaddr *)&to, sizeof to) || listen(listener, 64) ||
            getsockname(listener, (struct sockaddr *)&to, &size))
            refuse("listen");
    }
    int64_t begin = now();
    for (long i = 0; i < count; i++) {
        int s = socket(AF_INET, tcp ? SOCK_STREAM : SOCK_DGRAM, 0);
        if (s < 0)
            refuse("socket");
        if (!tcp)
            to.sin_addr.s_addr = htonl(0x7f000001u + (uint32_t)(i % 65536));
        int64_t before = now();
        if (connect(s, (struct sockaddr *)&to, sizeof to))
            refuse("connect");
        took[i] = now() - before;
        if (tcp) {
            int peer = accept(listener, NULL, NULL);
            setsockopt(s, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
            close(s);
            close(peer);
        } else {
            close(s);
        }
    }
    int64_t wall = now() - begin;
    int64_t sum = 0;
    for (long i = 0; i < count; i++)
        sum += took[i];
    qsort(took, (size_t)count, sizeof *took, compare);
    printf("%ld %ld %ld %ld %ld\n", (long)(wall / count), (long)(sum / count), (long)took[count / 2],
           (long)took[count - 1 - count / 100], (long)took[count - 1]);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 64;
    long count = atol(argv[2]);
    uid_t uid = (uid_t)strtoul(argv[3], NULL, 10);
    if (count < 100 || setresgid(uid, uid, uid) || setresuid(uid, uid, uid)) {
        perror("connect-loop");
        return 1;
    }
    // Whether a process has an audit context is decided when it is forked, by the task list and its user.
    pid_t child = fork();
    if (child == 0)
        _exit(fflush(stdout) || run(argv[1][0] == 't', count) || fflush(stdout));
    int status;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
