/* Unconnected UDP: the address travels in sendto(2). "unspec" sets the address family to 0, which IPv4 UDP accepts
 * and which a rule that filters on the family never sees. */
#include "provoke.h"

int main(int argc, char **argv)
{
    if (argc < 3)
        return usage("udp-sendto ADDRESS PORT [unspec]");

    struct target target = parse_target(argv[1], argv[2]);
    int fd = socket(target.address.ss_family, SOCK_DGRAM, 0);
    if (argc > 3 && strcmp(argv[3], "unspec") == 0)
        target.address.ss_family = AF_UNSPEC;
    ssize_t result = sendto(fd, "datagram\n", 9, 0, (struct sockaddr *)&target.address, target.length);
    return report("sendto", (int)result, errno);
}
