/* A mutex, a condition variable and a flag. */
#include "bench.h"

static struct {
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  int raised;
} __attribute__((aligned(128))) sides[2];

static void wake_open(void)
{
  for (int side = 0; side < 2; side++) {
    pthread_mutex_init(&sides[side].mutex, NULL);
    pthread_cond_init(&sides[side].changed, NULL);
  }
}

static inline void wake_send(int side)
{
  pthread_mutex_lock(&sides[side].mutex);
  sides[side].raised = 1;
  pthread_cond_signal(&sides[side].changed);
  pthread_mutex_unlock(&sides[side].mutex);
}

static inline void wake_receive(int side)
{
  pthread_mutex_lock(&sides[side].mutex);
  while (!sides[side].raised) {
    pthread_cond_wait(&sides[side].changed, &sides[side].mutex);
  }
  sides[side].raised = 0;
  pthread_mutex_unlock(&sides[side].mutex);
}

#include "wake_trip.h"
