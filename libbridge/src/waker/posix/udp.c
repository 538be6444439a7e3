/* UDP waker: a socket connected to itself, for loops that take nothing but
   sockets.  The kernel drops what comes from anybody else. */
#include "waker/posix/file.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
  TRIES = 1000
};

static bool drain(bridge_waker *waker)
{
  char byte;
  bool some = false;
  while (recv(waker->as.file.reading, &byte, sizeof byte, 0) >= 0) {
    some = true;
  }
  return some;
}

/* To a port of the system's choice, on which only this socket is. */
static bool connect_to_itself(int file)
{
  struct sockaddr_in address = {.sin_family = AF_INET};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  struct sockaddr *plain = (struct sockaddr *)&address;
  return bind(file, plain, size) == 0 && getsockname(file, plain, &size) == 0 &&
         connect(file, plain, size) == 0;
}

static bridge_status start(bridge_waker *waker)
{
  int file = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (file < 0) {
    return bridge__file_status();
  }
  if (!connect_to_itself(file)) {
    const int error = errno;
    close(file);
    errno = error;
    return bridge__file_status();
  }
  waker->as.file.reading = file;
  waker->as.file.writing = file;
  drain(waker); /* what somebody sent before it was connected */
  return BRIDGE_OK;
}

static bool send_signal(bridge_waker *waker)
{
  const int before = errno; /* a signal handler must not change it */
  bool sent = false;
  /* On the loopback a packet is lost only for lack of memory, which passes: the
     receive buffer never holds more than two of ours. */
  for (int i = 0; i < TRIES && !sent; i++) {
    if (i > 0) {
      bridge__yield();
    }
    sent = send(waker->as.file.writing, "", 1, MSG_NOSIGNAL) == 1;
  }
  errno = before;
  return sent;
}

const bridge__waker_type bridge__waker_udp = {
    .kind = BRIDGE_WAKER_UDP,
    .open = start,
    .signal = send_signal,
    .drain = drain,
    .wait = bridge__file_wait,
    .close = bridge__file_close,
    .descriptor = true,
};
