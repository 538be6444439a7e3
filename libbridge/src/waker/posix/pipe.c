/* Pipe waker: for loops that take nothing but streams. */
#include "waker/posix/file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static bridge_status start(bridge_waker *waker)
{
  int files[2];
  if (pipe2(files, O_NONBLOCK | O_CLOEXEC) != 0) {
    return bridge__file_status();
  }
  waker->as.file.reading = files[0];
  waker->as.file.writing = files[1];
  return BRIDGE_OK;
}

static bool send_signal(bridge_waker *waker)
{
  const int before = errno; /* a signal handler must not change it */
  /* Fails only when the pipe is full: then it is readable.  The reading end is
     open as long as anybody is in here, so there is no SIGPIPE. */
  (void)!write(waker->as.file.writing, "", 1);
  errno = before;
  return true;
}

static bool drain(bridge_waker *waker)
{
  char bytes[16]; /* there is one, or two when the waker is being closed */
  return read(waker->as.file.reading, bytes, sizeof bytes) > 0;
}

const bridge__waker_type bridge__waker_pipe = {
    .kind = BRIDGE_WAKER_PIPE,
    .open = start,
    .signal = send_signal,
    .drain = drain,
    .wait = bridge__file_wait,
    .close = bridge__file_close,
    .descriptor = true,
};
