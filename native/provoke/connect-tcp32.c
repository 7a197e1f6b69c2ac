/* A 32-bit program that connects through socketcall(2): one system call number for every socket operation, its
 * arguments in memory. Built with -m32. */
#include "provoke.h"
#include <linux/net.h>
#include <sys/syscall.h>

static long socketcall(int call, unsigned long *arguments)
{
    return syscall(SYS_socketcall, call, arguments);
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return usage("connect-tcp32 ADDRESS PORT");

    struct target target = parse_target(argv[1], argv[2]);
    unsigned long make[] = {target.address.ss_family, SOCK_STREAM, 0};
    long fd = socketcall(SYS_SOCKET, make);
    unsigned long reach[] = {(unsigned long)fd, (unsigned long)&target.address, target.length};
    long result = socketcall(SYS_CONNECT, reach);
    return report("socketcall connect", (int)result, errno);
}
