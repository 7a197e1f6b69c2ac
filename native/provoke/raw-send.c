/* One ICMP echo request through a raw socket. */
#include "provoke.h"
#include <netinet/ip_icmp.h>

static unsigned short checksum(const void *data, size_t length)
{
    const unsigned short *words = data;
    unsigned long sum = 0;
    for (size_t i = 0; i < length / 2; i++)
        sum += words[i];
    sum = (sum >> 16) + (sum & 0xffff);
    return (unsigned short)~(sum + (sum >> 16));
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return usage("raw-send ADDRESS");

    struct target target = parse_target(argv[1], "0");
    int fd = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
    if (fd < 0)
        return report("raw socket", fd, errno);

    struct icmphdr echo = {.type = ICMP_ECHO, .un.echo = {.id = htons(0x1512), .sequence = htons(1)}};
    echo.checksum = checksum(&echo, sizeof echo);
    ssize_t result = sendto(fd, &echo, sizeof echo, 0, (struct sockaddr *)&target.address, target.length);
    return report("raw send", (int)result, errno);
}
