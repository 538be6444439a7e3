# Lua 5.4 as the target bridge_lua; systems call it by different names.
include_guard(GLOBAL)

find_package(PkgConfig REQUIRED)
pkg_search_module(BRIDGE_LUA54 REQUIRED IMPORTED_TARGET
                  lua5.4 lua-5.4 lua54 "lua >= 5.4")
if(BRIDGE_LUA54_VERSION VERSION_LESS 5.4 OR NOT BRIDGE_LUA54_VERSION VERSION_LESS 5.5)
  message(FATAL_ERROR "Lua 5.4 is needed, but ${BRIDGE_LUA54_VERSION} was found")
endif()

add_library(bridge_lua INTERFACE)

# For modules that a Lua interpreter loads: it brings the library itself.
add_library(bridge_lua_headers INTERFACE)

if(NOT BRIDGE_LUA_SOURCE)
  target_link_libraries(bridge_lua INTERFACE PkgConfig::BRIDGE_LUA54)
  target_include_directories(bridge_lua_headers SYSTEM INTERFACE
                             ${BRIDGE_LUA54_INCLUDE_DIRS})
  return()
endif()

# A Lua that is built here with the flags of everything else: a sanitizer that
# sees only our half does not see a state that two threads are in.  Lua checks
# itself and its callers meanwhile.  Nothing of this is installed.
set(lua_core
  lapi lauxlib lbaselib lcode lcorolib lctype ldblib ldebug ldo ldump lfunc lgc
  linit liolib llex lmathlib lmem loadlib lobject lopcodes loslib lparser
  lstate lstring lstrlib ltable ltablib ltm lundump lutf8lib lvm lzio)
list(TRANSFORM lua_core PREPEND "${BRIDGE_LUA_SOURCE}/")
list(TRANSFORM lua_core APPEND ".c")

add_library(bridge_lua_built SHARED ${lua_core})
target_include_directories(bridge_lua_built SYSTEM PUBLIC
                           "${BRIDGE_LUA_SOURCE}")
target_compile_definitions(bridge_lua_built PRIVATE
  LUA_USE_LINUX LUA_COMPAT_5_3 LUA_USE_APICHECK LUAI_ASSERT)
target_link_libraries(bridge_lua_built PRIVATE m ${CMAKE_DL_LIBS})
add_executable(bridge_lua_interpreter "${BRIDGE_LUA_SOURCE}/lua.c")
target_compile_definitions(bridge_lua_interpreter PRIVATE LUA_USE_POSIX)
target_link_libraries(bridge_lua_interpreter PRIVATE bridge_lua_built)
# ThreadSanitizer knows longjmp, but not _longjmp: each error would leave its
# frames on a stack that TSan keeps, until it has no room.  And it hands signals
# to a thread at atomic operations and calls of the system only: with the third
# line each instruction of Lua has one, so that what stops a loop is seen.
target_compile_options(bridge_lua_built PRIVATE -w
  "-DLUAI_THROW(L,c)=longjmp((c)->b,1)"
  "-DLUAI_TRY(L,c,a)=if(setjmp((c)->b)==0){a}"
  "-Dluai_likely(x)=(__builtin_expect((x)!=0,1))"
  "-Dluai_unlikely(x)=(__atomic_load_n(&(int){0},__ATOMIC_RELAXED),__builtin_expect((x)!=0,0))"
  -Dluai_jmpbuf=jmp_buf)
set_target_properties(bridge_lua_built bridge_lua_interpreter PROPERTIES
  C_EXTENSIONS ON
  OUTPUT_NAME lua
  LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/lua-source"
  RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/lua-source")

target_link_libraries(bridge_lua INTERFACE bridge_lua_built)
target_include_directories(bridge_lua_headers SYSTEM INTERFACE
                           "${BRIDGE_LUA_SOURCE}")

# It runs the tests of the Lua module, too: all of such a process is seen.
set(BRIDGE_LUA_EXECUTABLE "${PROJECT_BINARY_DIR}/lua-source/lua")
