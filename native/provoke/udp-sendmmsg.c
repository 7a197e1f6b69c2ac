/* One sendmmsg(2) to several peers: audit records only the last address. Exits 0 when every datagram was sent. */
#define _GNU_SOURCE
#include "provoke.h"

enum { MAX = 64 };

int main(int argc, char **argv)
{
    if (argc < 3)
        return usage("udp-sendmmsg PORT ADDRESS...");

    static struct target targets[MAX];
    static struct mmsghdr messages[MAX];
    struct iovec body = {.iov_base = "many\n", .iov_len = 5};
    int count = argc - 2 < MAX ? argc - 2 : MAX;
    for (int i = 0; i < count; i++) {
        targets[i] = parse_target(argv[i + 2], argv[1]);
        messages[i].msg_hdr.msg_name = &targets[i].address;
        messages[i].msg_hdr.msg_namelen = targets[i].length;
        messages[i].msg_hdr.msg_iov = &body;
        messages[i].msg_hdr.msg_iovlen = 1;
    }

    int fd = socket(targets[0].address.ss_family, SOCK_DGRAM, 0);
    int sent = sendmmsg(fd, messages, (unsigned)count, 0);
    printf("sendmmsg: %d of %d\n", sent, count);
    return sent == count ? DONE : outcome(-1, errno);
}
