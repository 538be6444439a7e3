/* Descriptors, for the model's kind of waker.  A use after the close is
   reported. */
#ifndef MODEL_DESCRIPTOR_H
#define MODEL_DESCRIPTOR_H

#include <stdbool.h>

int model_descriptor_open(void);
void model_descriptor_signal(int number);
bool model_descriptor_drain(int number);
void model_descriptor_close(int number);

#endif
