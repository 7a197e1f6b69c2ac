/* Prints every size, offset and constant that ImageSentinel's managed code repeats, one "name value" per line.
 *
 * Built and run by LayoutTests with the machine's own compiler and headers, so that the managed side is held against
 * what the C library and the kernel's user-space headers say, not against a copy. A name that these headers are too
 * old to know is left out; the test then says which ones it could not compare.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <linux/fanotify.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <linux/openat2.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#define VALUE(name) printf("%s %lld\n", #name, (long long)(name))
#define SIZE(type, label) printf("sizeof(%s) %zu\n", label, sizeof(type))
#define FIELD(type, label, field) printf("offsetof(%s,%s) %zu\n", label, #field, offsetof(type, field))

/* LayoutTests defines it in a header that it puts in front: VALUE(A); VALUE(B); … for every constant it compares. */
#ifndef CONSTANTS
#define CONSTANTS
#endif

int main(void)
{
    SIZE(struct sockaddr_nl, "sockaddr_nl");
    FIELD(struct sockaddr_nl, "sockaddr_nl", nl_family);
    FIELD(struct sockaddr_nl, "sockaddr_nl", nl_pid);
    FIELD(struct sockaddr_nl, "sockaddr_nl", nl_groups);

    SIZE(struct sockaddr_ll, "sockaddr_ll");
    FIELD(struct sockaddr_ll, "sockaddr_ll", sll_family);
    FIELD(struct sockaddr_ll, "sockaddr_ll", sll_protocol);
    FIELD(struct sockaddr_ll, "sockaddr_ll", sll_ifindex);
    FIELD(struct sockaddr_ll, "sockaddr_ll", sll_hatype);
    FIELD(struct sockaddr_ll, "sockaddr_ll", sll_pkttype);
    FIELD(struct sockaddr_ll, "sockaddr_ll", sll_halen);
    FIELD(struct sockaddr_ll, "sockaddr_ll", sll_addr);

    SIZE(struct sock_fprog, "sock_fprog");
    FIELD(struct sock_fprog, "sock_fprog", len);
    FIELD(struct sock_fprog, "sock_fprog", filter);

    SIZE(struct tpacket_stats, "tpacket_stats");
    FIELD(struct tpacket_stats, "tpacket_stats", tp_packets);
    FIELD(struct tpacket_stats, "tpacket_stats", tp_drops);

    SIZE(struct iovec, "iovec_native");
    FIELD(struct iovec, "iovec_native", iov_base);
    FIELD(struct iovec, "iovec_native", iov_len);

    SIZE(struct msghdr, "msghdr_native");
    FIELD(struct msghdr, "msghdr_native", msg_name);
    FIELD(struct msghdr, "msghdr_native", msg_namelen);
    FIELD(struct msghdr, "msghdr_native", msg_iov);
    FIELD(struct msghdr, "msghdr_native", msg_iovlen);
    FIELD(struct msghdr, "msghdr_native", msg_control);
    FIELD(struct msghdr, "msghdr_native", msg_controllen);
    FIELD(struct msghdr, "msghdr_native", msg_flags);

    SIZE(struct mmsghdr, "mmsghdr_native");
    FIELD(struct mmsghdr, "mmsghdr_native", msg_hdr);
    FIELD(struct mmsghdr, "mmsghdr_native", msg_len);

    SIZE(struct pollfd, "pollfd_native");
    FIELD(struct pollfd, "pollfd_native", fd);
    FIELD(struct pollfd, "pollfd_native", events);
    FIELD(struct pollfd, "pollfd_native", revents);

    SIZE(struct timespec, "timespec_native");
    FIELD(struct timespec, "timespec_native", tv_sec);
    FIELD(struct timespec, "timespec_native", tv_nsec);

    SIZE(struct ucred, "ucred_native");
    FIELD(struct ucred, "ucred_native", pid);
    FIELD(struct ucred, "ucred_native", uid);
    FIELD(struct ucred, "ucred_native", gid);

    SIZE(struct open_how, "open_how");
    FIELD(struct open_how, "open_how", flags);
    FIELD(struct open_how, "open_how", mode);
    FIELD(struct open_how, "open_how", resolve);

    FIELD(struct file_handle, "file_handle_max", handle_bytes);
    FIELD(struct file_handle, "file_handle_max", handle_type);
    FIELD(struct file_handle, "file_handle_max", f_handle);

    SIZE(struct statfs, "statfs_native");
    FIELD(struct statfs, "statfs_native", f_fsid);

    /* Read by offset in the Kernel project. */
    SIZE(struct nlmsghdr, "nlmsghdr");
    FIELD(struct nlmsghdr, "nlmsghdr", nlmsg_len);
    FIELD(struct nlmsghdr, "nlmsghdr", nlmsg_type);
    FIELD(struct nlmsghdr, "nlmsghdr", nlmsg_flags);
    FIELD(struct nlmsghdr, "nlmsghdr", nlmsg_seq);
    FIELD(struct nlmsghdr, "nlmsghdr", nlmsg_pid);

    SIZE(struct audit_status, "audit_status");
    FIELD(struct audit_status, "audit_status", mask);
    FIELD(struct audit_status, "audit_status", enabled);
    FIELD(struct audit_status, "audit_status", pid);
    FIELD(struct audit_status, "audit_status", backlog_limit);
    FIELD(struct audit_status, "audit_status", lost);
    FIELD(struct audit_status, "audit_status", backlog);
    FIELD(struct audit_status, "audit_status", backlog_wait_time);

    SIZE(struct audit_rule_data, "audit_rule_data");
    FIELD(struct audit_rule_data, "audit_rule_data", flags);
    FIELD(struct audit_rule_data, "audit_rule_data", action);
    FIELD(struct audit_rule_data, "audit_rule_data", field_count);
    FIELD(struct audit_rule_data, "audit_rule_data", mask);
    FIELD(struct audit_rule_data, "audit_rule_data", fields);
    FIELD(struct audit_rule_data, "audit_rule_data", values);
    FIELD(struct audit_rule_data, "audit_rule_data", fieldflags);
    FIELD(struct audit_rule_data, "audit_rule_data", buflen);
    FIELD(struct audit_rule_data, "audit_rule_data", buf);

    SIZE(struct fanotify_event_metadata, "fanotify_event_metadata");
    FIELD(struct fanotify_event_metadata, "fanotify_event_metadata", event_len);
    FIELD(struct fanotify_event_metadata, "fanotify_event_metadata", vers);
    FIELD(struct fanotify_event_metadata, "fanotify_event_metadata", metadata_len);
    FIELD(struct fanotify_event_metadata, "fanotify_event_metadata", mask);
    FIELD(struct fanotify_event_metadata, "fanotify_event_metadata", fd);
    FIELD(struct fanotify_event_metadata, "fanotify_event_metadata", pid);
    SIZE(struct fanotify_event_info_header, "fanotify_event_info_header");
    FIELD(struct fanotify_event_info_header, "fanotify_event_info_header", len);
    FIELD(struct fanotify_event_info_fid, "fanotify_event_info_fid", fsid);
    FIELD(struct fanotify_event_info_fid, "fanotify_event_info_fid", handle);

    SIZE(struct cn_msg, "cn_msg");
    FIELD(struct cn_msg, "cn_msg", seq);
    FIELD(struct cn_msg, "cn_msg", len);
    FIELD(struct cn_msg, "cn_msg", data);
    FIELD(struct proc_event, "proc_event", cpu);
    FIELD(struct proc_event, "proc_event", timestamp_ns);
    FIELD(struct proc_event, "proc_event", event_data);

    SIZE(struct nfgenmsg, "nfgenmsg");
    SIZE(struct nlattr, "nlattr");

    CONSTANTS
    return 0;
}
