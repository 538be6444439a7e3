# What our own code is compiled with.  Targets ask for it; nothing is global
# but the sanitizers, which every object of a program has to share.

# A ccache that cannot write its folder, as where the home is not writable,
# compiles nothing: so it is tried, and each time anew.
find_program(BRIDGE_CCACHE ccache)
mark_as_advanced(BRIDGE_CCACHE)
set(ccache_works FALSE)
if(BRIDGE_CCACHE AND NOT CMAKE_C_COMPILER_LAUNCHER)
  set(trial "${PROJECT_BINARY_DIR}/CMakeFiles/ccache")
  file(WRITE "${trial}.c" "int bridge_ccache_trial;\n")
  execute_process(
    COMMAND "${BRIDGE_CCACHE}" "${CMAKE_C_COMPILER}" -c "${trial}.c" -o "${trial}.o"
    RESULT_VARIABLE failure OUTPUT_QUIET ERROR_QUIET)
  if(failure STREQUAL "0")
    set(ccache_works TRUE)
  else()
    message(STATUS "ccache does not work here and is not used")
  endif()
endif()
if(ccache_works)
  set(CMAKE_C_COMPILER_LAUNCHER "${BRIDGE_CCACHE}")
  set(CMAKE_CXX_COMPILER_LAUNCHER "${BRIDGE_CCACHE}")
endif()

if(BRIDGE_SANITIZE)
  add_compile_options(-fsanitize=${BRIDGE_SANITIZE} -fno-omit-frame-pointer
                      -fno-sanitize-recover=all -O1)
  add_link_options(-fsanitize=${BRIDGE_SANITIZE})
endif()

if(BRIDGE_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

add_library(bridge_warnings INTERFACE)
target_compile_options(bridge_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow
  $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes>
  $<$<BOOL:${BRIDGE_WERROR}>:-Werror>)

# C++ is for the tests only, and other people's macros are in them.
add_library(bridge_test_warnings INTERFACE)
target_compile_options(bridge_test_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow $<$<BOOL:${BRIDGE_WERROR}>:-Werror>)

# A module finds libbridge from where it lies: in the build folder, and below
# any prefix, also one that was moved.
function(bridge_module_links target folder)
  set(libraries "${CMAKE_INSTALL_FULL_LIBDIR}")
  set(module "${folder}")
  cmake_path(ABSOLUTE_PATH module BASE_DIRECTORY "${CMAKE_INSTALL_PREFIX}")
  cmake_path(RELATIVE_PATH libraries BASE_DIRECTORY "${module}")
  set_target_properties(${target} PROPERTIES
    INSTALL_RPATH "$ORIGIN/${libraries}")
  if(NOT APPLE)
    target_link_options(${target} PRIVATE LINKER:-z,nodelete)
  endif()
endfunction()
