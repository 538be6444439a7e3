# The Lua face in C.  It is compiled twice: into the module that a Lua host loads,
# and into libbridge, for the states of workers.
set(BRIDGE_LUA_FACE
  arguments.c
  buffer.c
  failure.c
  language.c
  object.c
  open.c
  registry.c
  receive.c
  sync.c
  timer.c
  values.c)
list(TRANSFORM BRIDGE_LUA_FACE PREPEND "${PROJECT_SOURCE_DIR}/bindings/lua/")
