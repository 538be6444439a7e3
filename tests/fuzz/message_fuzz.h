/* The entry point that libFuzzer and generate.c share. */
#ifndef TESTS_MESSAGE_FUZZ_H
#define TESTS_MESSAGE_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* How many inputs were well-formed so far. */
extern unsigned long fuzz_taken;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
