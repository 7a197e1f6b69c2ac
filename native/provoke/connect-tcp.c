/* A plain TCP connect, blocking or not. The non-blocking one returns EINPROGRESS, as every Go program's does. */
#include "provoke.h"

int main(int argc, char **argv)
{
    if (argc < 3)
        return usage("connect-tcp ADDRESS PORT [nonblock]");

    struct target target = parse_target(argv[1], argv[2]);
    int nonblock = argc > 3 && strcmp(argv[3], "nonblock") == 0;
    int fd = socket(target.address.ss_family, SOCK_STREAM | (nonblock ? SOCK_NONBLOCK : 0), 0);
    int result = connect(fd, (struct sockaddr *)&target.address, target.length);
    int error = errno;
    if (result == 0 && write(fd, "hello\n", 6) < 0)
        perror("write");
    return report("connect", result, error);
}
