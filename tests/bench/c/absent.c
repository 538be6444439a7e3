/* Stands for a program whose peer is not installed on this machine. */
#include <stdio.h>

int main(void)
{
  fprintf(stderr, "what this measures is not installed\n");
  return 77;
}
