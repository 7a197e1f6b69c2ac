/* Connects without waiting and is gone: about a millisecond from exec to exit, too short for anyone who reads
 * /proc afterwards. Exits 0 when the attempt was made. */
#include "provoke.h"

int main(int argc, char **argv)
{
    if (argc < 3)
        return usage("flash-tcp ADDRESS PORT");

    struct target target = parse_target(argv[1], argv[2]);
    int fd = socket(target.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
    int result = connect(fd, (struct sockaddr *)&target.address, target.length);
    _exit(result == 0 || errno == EINPROGRESS ? DONE : outcome(result, errno));
}
