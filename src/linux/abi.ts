/**
 * Numbers of the Linux ABI: every constant, structure size and offset that `linux/` uses, under the names that
 * C gives them, so that a compiler can be the judge (test/unit/linux/abi.test.ts prints each and compares).
 *
 * All of them are equal on x86-64 and arm64 (both 64-bit, little-endian, and neither replaces the generic
 * header for any of these), hence one table; anything else is refused at load by ffi.ts.
 *
 * Source: the kernel's uapi headers; open(2), netdevice(7), cmsg(3), udp(7), netlink(7), rtnetlink(7).
 */

export const FILE = { O_RDWR: 2, O_NONBLOCK: 0x800, O_CLOEXEC: 0x80000 } as const;

export const MEMORY = {
  PROT_READ: 1,
  PROT_WRITE: 2,
  PROT_EXEC: 4,
  MAP_PRIVATE: 2,
  MAP_ANONYMOUS: 0x20,
} as const;

export const CLOCK = { CLOCK_BOOTTIME: 7 } as const;

/** adjtimex(2): what it answers while nobody has confirmed the clock. */
export const TIMEX = { TIME_ERROR: 5 } as const;

export const TUN = {
  TUNSETIFF: 0x400454ca,
  TUNSETOFFLOAD: 0x400454d0,
  TUNSETVNETHDRSZ: 0x400454d8,
  IFF_TUN: 0x0001,
  IFF_NO_PI: 0x1000,
  IFF_VNET_HDR: 0x4000,
  TUN_F_CSUM: 0x01,
  TUN_F_TSO4: 0x02,
  TUN_F_TSO6: 0x04,
  /** Linux 6.2, like the next. */
  TUN_F_USO4: 0x20,
  TUN_F_USO6: 0x40,
  IFNAMSIZ: 16,
} as const;

export const SOCKET = {
  AF_UNIX: 1,
  AF_INET: 2,
  AF_INET6: 10,
  AF_NETLINK: 16,
  SOCK_STREAM: 1,
  SOCK_DGRAM: 2,
  SOCK_RAW: 3,
  SOCK_NONBLOCK: 0x800,
  SOCK_CLOEXEC: 0x80000,
  SOL_SOCKET: 1,
  SO_SNDBUF: 7,
  SO_RCVBUF: 8,
  SO_PEERCRED: 17,
  SO_SNDBUFFORCE: 32,
  SO_RCVBUFFORCE: 33,
  SO_MARK: 36,
  IPPROTO_IP: 0,
  IP_TOS: 1,
  IP_RECVTOS: 13,
  IPPROTO_TCP: 6,
  TCP_NOTSENT_LOWAT: 25,
  IPPROTO_IPV6: 41,
  IPV6_V6ONLY: 26,
  IPV6_RECVTCLASS: 66,
  IPV6_TCLASS: 67,
  IPPROTO_UDP: 17,
  UDP_SEGMENT: 103,
  UDP_GRO: 104,
  POLLIN: 1,
  POLLOUT: 4,
} as const;

/** Of the packet filter's own netlink family. */
export const NFTABLES = {
  NFNLGRP_NFTABLES: 7,
  NFNL_SUBSYS_NFTABLES: 10,
  NFT_MSG_NEWTABLE: 0,
  NFT_MSG_DELRULE: 8,
} as const;

export const NETLINK = {
  NETLINK_ROUTE: 0,
  NETLINK_NETFILTER: 12,
  RTMGRP_LINK: 1,
  RTMGRP_IPV4_IFADDR: 0x10,
  RTMGRP_IPV4_ROUTE: 0x40,
  RTMGRP_IPV4_RULE: 0x80,
  RTMGRP_IPV6_IFADDR: 0x100,
  RTMGRP_IPV6_ROUTE: 0x400,
  /** The number of a group, not a mask: no macro has the mask of this one. */
  RTNLGRP_IPV6_RULE: 19,
  NLM_F_REQUEST: 1,
  NLMSG_ERROR: 2,
  RTM_NEWLINK: 16,
  RTM_DELLINK: 17,
  RTM_GETLINK: 18,
  RTM_NEWADDR: 20,
  RTM_DELADDR: 21,
  RTM_NEWROUTE: 24,
  RTM_DELROUTE: 25,
  RTM_NEWRULE: 32,
  RTM_DELRULE: 33,
  RTM_F_CLONED: 0x200,
  IFLA_IFNAME: 3,
  IFLA_MTU: 4,
  IFF_UP: 0x01,
  IFF_RUNNING: 0x40,
} as const;

export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  ENOSPC: 28,
  ENOSYS: 38,
  EBADFD: 77,
  EDESTADDRREQ: 89,
  EMSGSIZE: 90,
  ENOPROTOOPT: 92,
  EPROTONOSUPPORT: 93,
  EOPNOTSUPP: 95,
  EAFNOSUPPORT: 97,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
  ENETDOWN: 100,
  ENETUNREACH: 101,
  ENOBUFS: 105,
  ETIMEDOUT: 110,
  ECONNREFUSED: 111,
  EHOSTUNREACH: 113,
} as const;

/** Sizes (`bytes`) and field offsets of structures; a key is the structure's name in C. */
export const STRUCT = {
  timespec: { bytes: 16, tv_sec: 0, tv_nsec: 8 },
  timex: { bytes: 208, modes: 0 },
  ifreq: { bytes: 40, ifr_name: 0, ifr_flags: 16 },
  virtio_net_hdr: {
    bytes: 10,
    flags: 0,
    gso_type: 1,
    hdr_len: 2,
    gso_size: 4,
    csum_start: 6,
    csum_offset: 8,
  },
  iovec: { bytes: 16, iov_base: 0, iov_len: 8 },
  msghdr: {
    bytes: 56,
    msg_name: 0,
    msg_namelen: 8,
    msg_iov: 16,
    msg_iovlen: 24,
    msg_control: 32,
    msg_controllen: 40,
    msg_flags: 48,
  },
  mmsghdr: { bytes: 64, msg_hdr: 0, msg_len: 56 },
  ucred: { bytes: 12, pid: 0, uid: 4, gid: 8 },
  /** Data stands right behind. */
  cmsghdr: { bytes: 16, cmsg_len: 0, cmsg_level: 8, cmsg_type: 12 },
  sockaddr_in: { bytes: 16, sin_family: 0, sin_port: 2, sin_addr: 4 },
  sockaddr_in6: {
    bytes: 28,
    sin6_family: 0,
    sin6_port: 2,
    sin6_flowinfo: 4,
    sin6_addr: 8,
    sin6_scope_id: 24,
  },
  sockaddr_un: { bytes: 110, sun_family: 0, sun_path: 2 },
  sockaddr_nl: { bytes: 12, nl_family: 0, nl_pid: 4, nl_groups: 8 },
  pollfd: { bytes: 8, fd: 0, events: 4, revents: 6 },
  nlmsghdr: { bytes: 16, nlmsg_len: 0, nlmsg_type: 4, nlmsg_flags: 6, nlmsg_seq: 8 },
  nlmsgerr: { bytes: 20, error: 0, msg: 4 },
  ifinfomsg: { bytes: 16, ifi_family: 0, ifi_index: 4, ifi_flags: 8 },
  rtmsg: { bytes: 12, rtm_flags: 8 },
  rtattr: { bytes: 4, rta_len: 0, rta_type: 2 },
} as const;

/** Control messages and netlink attributes start at multiples of these. */
export const CMSG_ALIGN = 8;
export const NETLINK_ALIGN = 4;
