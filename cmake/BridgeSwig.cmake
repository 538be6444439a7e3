# Wrappers that are made by SWIG from swig/bridge.i, and texts that are put
# into C.  Nothing that is made here is ever committed.
include_guard(GLOBAL)

set(BRIDGE_GENERATED "${PROJECT_BINARY_DIR}/generated")

find_program(BRIDGE_SWIG NAMES swig4.1 swig4.0 swig REQUIRED)
execute_process(COMMAND "${BRIDGE_SWIG}" -version OUTPUT_VARIABLE swig_text)
string(REGEX MATCH "SWIG Version ([0-9.]+)" swig_text "${swig_text}")
if(CMAKE_MATCH_1 VERSION_LESS 4.1)
  message(FATAL_ERROR "SWIG 4.1 is needed, but ${CMAKE_MATCH_1} was found")
endif()

# bridge_swig(<wrapper.c> OPTIONS ... [BYPRODUCTS ...])
function(bridge_swig wrapper)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "OPTIONS;BYPRODUCTS")
  set(interface "${PROJECT_SOURCE_DIR}/swig/bridge.i")
  cmake_path(GET wrapper PARENT_PATH folder)
  cmake_path(GET wrapper FILENAME name)
  file(MAKE_DIRECTORY "${folder}")
  add_custom_command(
    OUTPUT "${wrapper}" ${arg_BYPRODUCTS}
    COMMAND "${BRIDGE_SWIG}" ${arg_OPTIONS} -Werror
            "-I${PROJECT_SOURCE_DIR}/swig"
            "-I${PROJECT_SOURCE_DIR}/libbridge/include"
            -MMD -MF "${wrapper}.d" -o "${wrapper}" "${interface}"
    DEPENDS "${interface}"
    DEPFILE "${wrapper}.d"
    COMMENT "SWIG ${name}"
    VERBATIM)
endfunction()

# The Lua wrapper is compiled into the library and into the Lua module.
function(bridge_swig_lua out)
  set(wrapper "${BRIDGE_GENERATED}/bridge_lua_wrap.c")
  bridge_swig("${wrapper}" OPTIONS -lua -no-old-metatable-bindings
              -nomoduleglobal -module bridge_core)
  add_custom_target(bridge_lua_wrapper DEPENDS "${wrapper}")
  # Of what SWIG makes visible in every module, a static library shows nothing.
  set_source_files_properties("${wrapper}" PROPERTIES
    COMPILE_OPTIONS -w
    COMPILE_DEFINITIONS luaopen_bridge_core_luacode=bridge__luacode)
  set(${out} "${wrapper}" PARENT_SCOPE)
endfunction()

# A text as <name>.h: `static const char <name>[]`, and <name>_size without the
# NUL behind it.
function(bridge_embed out text name)
  set(header "${BRIDGE_GENERATED}/${name}.h")
  add_custom_command(
    OUTPUT "${header}"
    COMMAND "${CMAKE_COMMAND}" "-Dtext=${text}" "-Dheader=${header}"
            "-Dname=${name}" -P "${PROJECT_SOURCE_DIR}/cmake/Embed.cmake"
    DEPENDS "${text}" "${PROJECT_SOURCE_DIR}/cmake/Embed.cmake"
    COMMENT "Embedding ${name}"
    VERBATIM)
  set(${out} "${header}" PARENT_SCOPE)
endfunction()
