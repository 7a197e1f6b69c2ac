/* Connected UDP: connect(2) names the peer, send(2) carries the datagram. With "silent" no datagram follows, which is
 * how resolvers choose a source address: that is not egress. */
#include "provoke.h"

int main(int argc, char **argv)
{
    if (argc < 3)
        return usage("udp-connect ADDRESS PORT [silent]");

    struct target target = parse_target(argv[1], argv[2]);
    int silent = argc > 3 && strcmp(argv[3], "silent") == 0;
    int fd = socket(target.address.ss_family, SOCK_DGRAM, 0);
    int result = connect(fd, (struct sockaddr *)&target.address, target.length);
    if (result == 0 && !silent)
        result = (int)send(fd, "connected\n", 10, 0);
    return report(silent ? "udp connect" : "udp send", result, errno);
}
