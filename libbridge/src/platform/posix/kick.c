/* Kick: a signal, whose handler is there from the first kick on, until it is retired.
   What handled the signal before goes on hearing of those that are not ours. */
#include "platform/kick.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

static BRIDGE__THREAD_LOCAL bridge__kick_target *_Atomic mine;

/* Changed by who kicks, one at a time; read by handlers. */
static atomic_int chosen = SIGURG;
static struct sigaction before; /* written before the handler is installed */
static bool installed;

/* ---- The handler ---- */

/* Whether a kick is on its way to this thread: then this may be it. */
static bool deliver(const siginfo_t *info)
{
  /* Takes nothing: this thread wrote it. */
  bridge__kick_target *target =
      atomic_load_explicit(&mine, memory_order_relaxed);
  if (target == NULL) {
    return false;
  }
  /* seq_cst: whoever finds his kick still under way has asked before this looks what
     is asked. */
  unsigned sent = atomic_load_explicit(&target->sent, memory_order_seq_cst);
  /* Takes nothing: this thread wrote it. */
  bool ours =
      info->si_code == SI_TKILL &&
      sent != atomic_load_explicit(&target->delivered, memory_order_relaxed);
  if (ours) {
    /* seq_cst: as above. */
    atomic_store_explicit(&target->delivered, sent, memory_order_seq_cst);
    target->deliver(target);
  }
  return ours;
}

static void handle(int signal, siginfo_t *info, void *context)
{
  int error = errno;
  if (!deliver(info)) {
    if ((before.sa_flags & SA_SIGINFO) != 0) {
      before.sa_sigaction(signal, info, context);
    } else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
      before.sa_handler(signal);
    }
  }
  errno = error;
}

static void install(void)
{
  struct sigaction ours = {.sa_sigaction = handle,
                           .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK};
  /* Takes nothing: who kicks wrote it. */
  int signal = atomic_load_explicit(&chosen, memory_order_relaxed);
  sigemptyset(&ours.sa_mask);
  struct sigaction now;
  sigaction(signal, NULL, &now);
  if ((now.sa_flags & SA_SIGINFO) == 0 || now.sa_sigaction != handle) {
    before = now;
    sigaction(signal, &ours, NULL);
  }
  installed = true;
}

void bridge__kick_retire(void)
{
  /* Takes nothing: who kicks wrote it. */
  int signal = atomic_load_explicit(&chosen, memory_order_relaxed);
  struct sigaction now;
  if (installed && sigaction(signal, NULL, &now) == 0 &&
      (now.sa_flags & SA_SIGINFO) != 0 && now.sa_sigaction == handle) {
    sigaction(signal, &before, NULL);
    installed = false;
  }
}

/* ---- Kicking ---- */

bridge_status bridge__kick_choose(int signal)
{
  struct sigaction now;
  if (signal == SIGKILL || signal == SIGSTOP ||
      sigaction(signal, NULL, &now) != 0) {
    return BRIDGE_EINVAL;
  }
  /* Publishes nothing: no thread is kicked yet. */
  atomic_store_explicit(&chosen, signal, memory_order_relaxed);
  installed = false;
  return BRIDGE_OK;
}

bool bridge__kick_open(bridge__kick_target *target)
{
  sigset_t kick;
  sigemptyset(&kick);
  /* Takes nothing: it was chosen before there was a state. */
  sigaddset(&kick, atomic_load_explicit(&chosen, memory_order_relaxed));
  target->thread = pthread_self();
  /* relaxed: nobody knows the target yet. */
  atomic_store_explicit(&target->sent, 0, memory_order_relaxed);
  atomic_store_explicit(&target->delivered, 0, memory_order_relaxed);
  /* Publishes nothing: only this thread's handler reads it. */
  atomic_store_explicit(&mine, target, memory_order_relaxed);
  return pthread_sigmask(SIG_UNBLOCK, &kick, NULL) == 0;
}

void bridge__kick_close(bridge__kick_target *target)
{
  /* Takes nothing: no kicks are under way here any more. */
  atomic_store_explicit(
      &target->delivered,
      atomic_load_explicit(&target->sent, memory_order_relaxed),
      memory_order_relaxed);
  /* Publishes nothing, as above. */
  atomic_store_explicit(&mine, NULL, memory_order_relaxed);
}

void bridge__kick(bridge__kick_target *target)
{
  /* Takes nothing: only who kicks writes it. */
  unsigned sent = atomic_load_explicit(&target->sent, memory_order_relaxed);
  /* seq_cst: see deliver(). */
  if (sent != atomic_load_explicit(&target->delivered, memory_order_seq_cst)) {
    return;
  }
  if (!installed) {
    install();
  }
  /* seq_cst: see deliver(). */
  atomic_store_explicit(&target->sent, sent + 1, memory_order_seq_cst);
  /* Takes nothing: who kicks wrote it.  It fails for no living thread. */
  pthread_kill(target->thread,
               atomic_load_explicit(&chosen, memory_order_relaxed));
}

/* ---- CPU time ---- */

static int64_t nanoseconds(const struct timespec *time)
{
  return (int64_t)time->tv_sec * 1000000000 + time->tv_nsec;
}

int64_t bridge__cpu_time(void)
{
  struct timespec now;
  return clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) == 0 ? nanoseconds(&now)
                                                           : 0;
}

bool bridge__cpu_time_of(const bridge__kick_target *target, int64_t *out)
{
  clockid_t clock;
  struct timespec now;
  if (pthread_getcpuclockid(target->thread, &clock) != 0 ||
      clock_gettime(clock, &now) != 0) {
    return false;
  }
  *out = nanoseconds(&now);
  return true;
}
