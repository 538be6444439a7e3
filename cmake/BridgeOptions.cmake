# What can be chosen when the bridge is configured.

# Read, and never set: it would decide about libraries of the project above.
if(NOT DEFINED BUILD_SHARED_LIBS)
  set(default_shared ON)
else()
  set(default_shared ${BUILD_SHARED_LIBS})
endif()
option(BRIDGE_SHARED "Build libbridge as a shared library" ${default_shared})
if(PROJECT_IS_TOP_LEVEL OR NOT BRIDGE_SHARED)
  set(default_static ON)
else()
  set(default_static OFF)
endif()
option(BRIDGE_STATIC "Build libbridge as a static library" ${default_static})
if(NOT BRIDGE_SHARED AND NOT BRIDGE_STATIC)
  message(FATAL_ERROR "BRIDGE_SHARED and BRIDGE_STATIC are both off")
endif()
option(BRIDGE_INSTALL "Install what is built" ${PROJECT_IS_TOP_LEVEL})
option(BRIDGE_LUA "Build the Lua module" ${PROJECT_IS_TOP_LEVEL})
option(BRIDGE_LLTHREADS2 "Build llthreads2 and llthreads, with BRIDGE_LUA" ON)
option(BRIDGE_PYTHON "Build the Python package" ${PROJECT_IS_TOP_LEVEL})
option(BRIDGE_TESTS "Build the tests" ${PROJECT_IS_TOP_LEVEL})
option(BRIDGE_EXAMPLES "Build the examples" ${PROJECT_IS_TOP_LEVEL})
option(BRIDGE_BENCH "Let bench_programs build the benchmarks" OFF)
option(BRIDGE_WERROR "Treat warnings in our own code as errors"
       ${PROJECT_IS_TOP_LEVEL})
option(BRIDGE_FUZZ "Build the fuzzer; needs clang and its libFuzzer" OFF)
set(BRIDGE_SANITIZE "" CACHE STRING
    "Sanitizers: empty, 'address,undefined' or 'thread'")
set(BRIDGE_LUA_SOURCE "" CACHE PATH
    "The sources of a Lua to build and use instead of the installed one")

# The system's interpreters, also where others come first in PATH: what is
# built here has to match the headers and modules the system brings.
if(DEFINED ENV{PYTHON})
  set(default_python "$ENV{PYTHON}")
elseif(EXISTS /usr/bin/python3)
  set(default_python /usr/bin/python3)
else()
  find_program(default_python NAMES python3 NO_CACHE)
endif()
set(BRIDGE_PYTHON_EXECUTABLE "${default_python}" CACHE FILEPATH
    "The Python interpreter to build for")

if(DEFINED ENV{LUA})
  set(default_lua "$ENV{LUA}")
else()
  find_program(default_lua NAMES lua5.4 lua-5.4 lua54 lua NO_CACHE
               PATHS /usr/bin NO_DEFAULT_PATH)
  find_program(default_lua NAMES lua5.4 lua-5.4 lua54 lua NO_CACHE)
endif()
set(BRIDGE_LUA_EXECUTABLE "${default_lua}" CACHE FILEPATH
    "The Lua 5.4 interpreter that runs the Lua tests and examples")
