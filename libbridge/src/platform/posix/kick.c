/* Kick: a signal, whose handler is there from the first kick on, until it is retired.
   What handled the signal before goes on hearing of those that are not ours; so does
   what the host puts into our place later, which the next kick finds. */
#include "platform/kick.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

/* A handler of the host's. */
typedef struct foreign {
  struct sigaction action;
  atomic_bool spent; /* it was to be called once, and was */
} foreign;

enum {
  MOST_FOREIGN = 8
};

static BRIDGE__THREAD_LOCAL bridge__kick_target *_Atomic mine;

/* Changed by who kicks, one at a time; read by handlers. */
static atomic_int chosen = SIGURG;
/* What our handler took the place of, one after the other: a later one may itself
   call what was there before it, which was ours. */
static foreign chain[MOST_FOREIGN];
static atomic_int chained;
/* How many of them this thread is in just now. */
static BRIDGE__THREAD_LOCAL volatile sig_atomic_t handing;

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

/* Whether it still wants signals. */
static bool wants(foreign *handler)
{
  bool once =
      ((unsigned)handler->action.sa_flags & (unsigned)SA_RESETHAND) != 0;
  /* Publishes nothing but itself: one of those who come at once calls it. */
  return !once ||
         !atomic_exchange_explicit(&handler->spent, true, memory_order_relaxed);
}

/* To the newest handler of the host's; when that one calls ours, to the one before
   it. */
static void hand_on(int signal, siginfo_t *info, void *context)
{
  /* Takes the handlers that are in the chain. */
  int place =
      atomic_load_explicit(&chained, memory_order_acquire) - 1 - handing;
  if (place < 0 || !wants(&chain[place])) {
    return;
  }
  const struct sigaction *action = &chain[place].action;
  handing++;
  if ((action->sa_flags & SA_SIGINFO) != 0) {
    action->sa_sigaction(signal, info, context);
  } else if (action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN) {
    action->sa_handler(signal);
  }
  handing--;
}

static void handle(int signal, siginfo_t *info, void *context)
{
  int error = errno;
  if (!deliver(info)) {
    hand_on(signal, info, context);
  }
  errno = error;
}

static bool is_ours(const struct sigaction *action)
{
  return (action->sa_flags & SA_SIGINFO) != 0 && action->sa_sigaction == handle;
}

static bool same_handler(const struct sigaction *a, const struct sigaction *b)
{
  bool with_info = (a->sa_flags & SA_SIGINFO) != 0;
  if (with_info != ((b->sa_flags & SA_SIGINFO) != 0)) {
    return false;
  }
  return with_info ? a->sa_sigaction == b->sa_sigaction
                   : a->sa_handler == b->sa_handler;
}

/* One that is set again takes its own place, and one too many that of the last. */
static void keep(const struct sigaction *action)
{
  /* Takes nothing: who kicks wrote it. */
  int count = atomic_load_explicit(&chained, memory_order_relaxed);
  if (count == MOST_FOREIGN ||
      (count > 0 && same_handler(&chain[count - 1].action, action))) {
    count--;
  }
  chain[count].action = *action;
  /* Publishes nothing: the next store does. */
  atomic_store_explicit(&chain[count].spent, false, memory_order_relaxed);
  /* Publishes the handler. */
  atomic_store_explicit(&chained, count + 1, memory_order_release);
}

/* Whether our handler was not there. */
static bool install(void)
{
  struct sigaction ours = {.sa_sigaction = handle,
                           .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK};
  /* Takes nothing: who kicks wrote it. */
  int signal = atomic_load_explicit(&chosen, memory_order_relaxed);
  sigemptyset(&ours.sa_mask);
  struct sigaction now;
  if (sigaction(signal, NULL, &now) != 0 || is_ours(&now)) {
    return false;
  }
  keep(&now);
  sigaction(signal, &ours, NULL);
  return true;
}

/* Who took our place stays, with what he may call. */
void bridge__kick_retire(void)
{
  /* Both relaxed: who kicks wrote them. */
  int signal = atomic_load_explicit(&chosen, memory_order_relaxed);
  int last = atomic_load_explicit(&chained, memory_order_relaxed) - 1;
  struct sigaction now;
  if (last < 0 || sigaction(signal, NULL, &now) != 0 || !is_ours(&now)) {
    return;
  }
  struct sigaction action = chain[last].action;
  if (atomic_load_explicit(&chain[last].spent, memory_order_relaxed)) {
    action.sa_flags = 0;
    action.sa_handler = SIG_DFL;
  }
  sigaction(signal, &action, NULL);
  /* Publishes nothing. */
  atomic_store_explicit(&chained, last, memory_order_relaxed);
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
  atomic_store_explicit(&chained, 0, memory_order_relaxed);
  return BRIDGE_OK;
}

bool bridge__kick_unblock(void)
{
  sigset_t kick;
  sigemptyset(&kick);
  /* Takes nothing: it was chosen before there was a state. */
  sigaddset(&kick, atomic_load_explicit(&chosen, memory_order_relaxed));
  return pthread_sigmask(SIG_UNBLOCK, &kick, NULL) == 0;
}

bool bridge__kick_open(bridge__kick_target *target)
{
  target->thread = pthread_self();
  /* relaxed: nobody knows the target yet. */
  atomic_store_explicit(&target->sent, 0, memory_order_relaxed);
  atomic_store_explicit(&target->delivered, 0, memory_order_relaxed);
  /* Publishes nothing: only this thread's handler reads it. */
  atomic_store_explicit(&mine, target, memory_order_relaxed);
  return bridge__kick_unblock();
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

bool bridge__kick_is_under_way(const bridge__kick_target *target)
{
  /* Takes nothing: only who kicks writes it. */
  unsigned sent = atomic_load_explicit(&target->sent, memory_order_relaxed);
  /* seq_cst: see deliver(). */
  return sent != atomic_load_explicit(&target->delivered, memory_order_seq_cst);
}

static void send(bridge__kick_target *target)
{
  /* Takes nothing: only who kicks writes it. */
  unsigned sent = atomic_load_explicit(&target->sent, memory_order_relaxed);
  /* seq_cst: see deliver(). */
  atomic_store_explicit(&target->sent, sent + 1, memory_order_seq_cst);
  /* Takes nothing: who kicks wrote it.  It fails for no living thread. */
  pthread_kill(target->thread,
               atomic_load_explicit(&chosen, memory_order_relaxed));
}

/* If the handler was not there, whatever was sent went elsewhere. */
void bridge__kick(bridge__kick_target *target)
{
  if (install() || !bridge__kick_is_under_way(target)) {
    send(target);
  }
}

void bridge__kick_again(bridge__kick_target *target)
{
  install();
  send(target);
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
