/* Forks twice, so that the connecting process has lost its parent, and connects MS milliseconds later.
 * The first process exits at once with 0: the shell that started it knows nothing of the connect. */
#include "provoke.h"

int main(int argc, char **argv)
{
    if (argc < 4)
        return usage("orphan-tcp ADDRESS PORT MS");

    struct target target = parse_target(argv[1], argv[2]);
    if (fork() != 0)
        return DONE;

    setsid();
    if (fork() != 0)
        _exit(DONE);

    usleep((useconds_t)atoi(argv[3]) * 1000);
    int fd = socket(target.address.ss_family, SOCK_STREAM, 0);
    int result = connect(fd, (struct sockaddr *)&target.address, target.length);
    return report("orphan connect", result, errno);
}
