/* UDP waker: a socket connected to itself.  The system drops what comes from
   anybody else. */
#include "waker/windows/socket.h"

#include <errno.h>
#include <limits.h>
#include <mswsock.h>
#include <ws2tcpip.h>

/* Older headers lack it. */
#ifndef SIO_UDP_CONNRESET
#define SIO_UDP_CONNRESET _WSAIOW(IOC_VENDOR, 12)
#endif

enum {
  TRIES = 1000
};

static INIT_ONCE once = INIT_ONCE_STATIC_INIT;
static bool started;

/* Never taken back: somebody may use sockets until the process ends. */
static BOOL CALLBACK start_sockets(INIT_ONCE *which, void *user, void **context)
{
  (void)which;
  (void)user;
  (void)context;
  WSADATA data;
  started = WSAStartup(MAKEWORD(2, 2), &data) == 0;
  return TRUE;
}

static bool drain(bridge_waker *waker)
{
  char byte;
  bool some = false;
  while (recv(bridge__socket_of(waker), &byte, sizeof byte, 0) >= 0) {
    some = true;
  }
  return some;
}

/* To a port of the system's choice, on which only this socket is. */
static bool connect_to_itself(SOCKET file)
{
  struct sockaddr_in address = {.sin_family = AF_INET};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int size = (int)sizeof address;
  struct sockaddr *plain = (struct sockaddr *)&address;
  return bind(file, plain, size) == 0 && getsockname(file, plain, &size) == 0 &&
         connect(file, plain, size) == 0;
}

/* Non-blocking, not inherited, alone on its port, and without the errors that an
   unreachable receiver would leave in it. */
static bool prepare(SOCKET file)
{
  u_long yes = 1;
  BOOL alone = TRUE;
  BOOL reset = FALSE;
  DWORD count = 0;
  SetHandleInformation((HANDLE)file, HANDLE_FLAG_INHERIT, 0);
  WSAIoctl(file, SIO_UDP_CONNRESET, &reset, sizeof reset, NULL, 0, &count, NULL,
           NULL);
  return ioctlsocket(file, (long)FIONBIO, &yes) == 0 &&
         setsockopt(file, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, (const char *)&alone,
                    (int)sizeof alone) == 0 &&
         connect_to_itself(file);
}

static bridge_status open_socket(bridge_waker *waker)
{
  InitOnceExecuteOnce(&once, start_sockets, NULL, NULL);
  if (!started) {
    return BRIDGE_ESYSTEM;
  }
  SOCKET file = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP);
  if (file == INVALID_SOCKET) {
    return BRIDGE_ESYSTEM;
  }
  if (file > (SOCKET)INT_MAX || !prepare(file)) {
    closesocket(file);
    return BRIDGE_ESYSTEM;
  }
  waker->as.file.reading = (int)file;
  waker->as.file.writing = (int)file;
  drain(waker); /* what somebody sent before it was connected */
  return BRIDGE_OK;
}

static bool send_signal(bridge_waker *waker)
{
  bool sent = false;
  /* On the loopback a packet is lost only for lack of memory, which passes. */
  for (int i = 0; i < TRIES && !sent; i++) {
    if (i > 0) {
      bridge__yield();
    }
    sent = send(bridge__socket_of(waker), "", 1, 0) == 1;
  }
  return sent;
}

const bridge__waker_type bridge__waker_udp = {
    .kind = BRIDGE_WAKER_UDP,
    .open = open_socket,
    .signal = send_signal,
    .drain = drain,
    .wait = bridge__socket_wait,
    .close = bridge__socket_close,
    .descriptor = true,
};
