/* A file of the project above: it is compiled as if there were no bridge. */
#ifdef _GNU_SOURCE
#error "a definition of the bridge came here"
#endif

/* With the bridge's warnings, which are errors, this would not compile. */
int own_number(const char *text);
int own_number(const char *text)
{
  char shadow = *text;
  {
    int shadow = (int)*text;
    return shadow + (char)(shadow * 2 > 100);
  }
  return shadow;
}
