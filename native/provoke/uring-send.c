/* A datagram by io_uring. By default IORING_OP_SEND with the address in the operation (kernel 6.0 and later), which
 * audit's io_uring list never sees; "msg" sends by IORING_OP_SENDMSG; "sqpoll" lets the polling thread submit. */
#include "uring.h"

int main(int argc, char **argv)
{
    if (argc < 3)
        return usage("uring-send ADDRESS PORT [msg|sqpoll]");

    struct target target = parse_target(argv[1], argv[2]);
    const char *mode = argc > 3 ? argv[3] : "";
    char body[] = "io_uring\n";
    struct iovec vector = {.iov_base = body, .iov_len = sizeof body - 1};
    struct msghdr message = {
        .msg_name = &target.address,
        .msg_namelen = target.length,
        .msg_iov = &vector,
        .msg_iovlen = 1,
    };
    int fd = socket(target.address.ss_family, SOCK_DGRAM, 0);
    struct io_uring_sqe operation = {.fd = fd};
    if (strcmp(mode, "msg") == 0) {
        operation.opcode = IORING_OP_SENDMSG;
        operation.addr = (unsigned long)&message;
        operation.len = 1;
    } else {
        operation.opcode = IORING_OP_SEND;
        operation.addr = (unsigned long)body;
        operation.len = sizeof body - 1;
        operation.addr2 = (unsigned long)&target.address;
        operation.addr_len = (unsigned short)target.length;
    }

    int result = uring_run(&operation, strcmp(mode, "sqpoll") == 0);
    return report("io_uring send", result, -result);
}
