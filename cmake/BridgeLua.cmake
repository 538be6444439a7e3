# Lua 5.4 as the target bridge_lua; systems call it by different names.
include_guard(GLOBAL)

find_package(PkgConfig REQUIRED)
pkg_search_module(LUA54 REQUIRED IMPORTED_TARGET
                  lua5.4 lua-5.4 lua54 "lua >= 5.4")
if(LUA54_VERSION VERSION_LESS 5.4 OR NOT LUA54_VERSION VERSION_LESS 5.5)
  message(FATAL_ERROR "Lua 5.4 is needed, but ${LUA54_VERSION} was found")
endif()

add_library(bridge_lua INTERFACE)
target_link_libraries(bridge_lua INTERFACE PkgConfig::LUA54)

# For modules that a Lua interpreter loads: it brings the library itself.
add_library(bridge_lua_headers INTERFACE)
target_include_directories(bridge_lua_headers SYSTEM INTERFACE
                           ${LUA54_INCLUDE_DIRS})
