#!/usr/bin/env bash
# Use the bridge as strangers do, and see whether it works:
#
#   install_test.sh PART BUILD SOURCE LUA PYTHON CC CXX
#
# stranger  from an installed tree that was moved: by pkg-config and find_package,
#           shared and static, in C and C++, from Lua and from Python
# parent    as a part of another project's sources
# layouts   from other prefixes, staged ones, absolute folders, and with parts
#           left out
set -euo pipefail
part=$1 build=$2 source=$3 lua=$4 python=$5 cc=$6 cxx=$7
here=$source/tests/install
warnings=(-Wall -Wextra -Wpedantic -Werror)

folder=$(mktemp -d "${TMPDIR:-/tmp}/bridge install.XXXXXX")
# pkg-config puts a sysroot with a space before a path twice.
staged=$(mktemp -d "${TMPDIR:-/tmp}/bridge-staged.XXXXXX")
trap 'rm -rf -- "$folder" "$staged"' EXIT
unset DESTDIR PKG_CONFIG_SYSROOT_DIR LUA_INIT LUA_INIT_5_4 LD_LIBRARY_PATH
export PYTHONDONTWRITEBYTECODE=1

fail() { echo "FAILED: $*" >&2; exit 1; }

# quietly COMMAND...: what it says is only of interest when it fails.
quietly() {
  "$@" >"$folder/log" 2>&1 || { cat -- "$folder/log" >&2; fail "$*"; }
}

# find_one TREE NAME
find_one() { find "$1" -name "$2" -print -quit | grep . || fail "no $2 in $1"; }

needed() { LC_ALL=C readelf -d "$1" | grep -F '(NEEDED)'; }

# A program is linked to the shared library, or not.
is_shared() { needed "$1" | grep -qF '[libbridge.so.0]' || fail "$1 has no libbridge.so.0"; }
is_static() { ! needed "$1" | grep -F libbridge || fail "$1 is not static"; }

# by_pkg_config LIBRARIES LANGUAGE NAME [PKG_CONFIG_OPTION...]: the program NAME.
by_pkg_config() {
  local libraries=$1 language=$2 name=$3 compiler=("$cc" -std=c11) words flags=()
  shift 3
  [ "$language" = c ] || compiler=("$cxx" -std=c++17)
  # The words come quoted by pkg-config, since there are spaces in the folder.
  words=$(pkg-config "$@" --cflags --libs libbridge)
  eval "flags=($words)"
  quietly "${compiler[@]}" "${warnings[@]}" "$here/foreign/consumer.$language" \
    -o "$folder/$name" ${static:+-static} "${flags[@]}" -Wl,-rpath,"$libraries"
}

# by_find_package PREFIX NAME KINDS: the programs in the folder NAME.
by_find_package() {
  quietly cmake -S "$here/foreign" -B "$folder/$2" -G Ninja \
    -DCMAKE_PREFIX_PATH="$1" -DCMAKE_C_COMPILER="$cc" \
    -DCMAKE_CXX_COMPILER="$cxx" -DKINDS="$3"
  quietly cmake --build "$folder/$2"
}

# Lua and Python, told by the same variables as ./dev install says.
from_lua() {
  local share native
  share=$(dirname -- "$(dirname -- "$(find_one "$1" init.lua)")")
  native=$(dirname -- "$(dirname -- "$(find_one "$1" core.so)")")
  LUA_PATH="$share/?.lua;$share/?/init.lua" LUA_CPATH="$native/?.so" \
    "$lua" -e 'local bridge = require "bridge"
               local worker <close> = assert(bridge.worker("return 6 * 7"))
               assert(worker:join(30) == 42)
               print("Lua: 42")'
}
python_program='if True:
  import bridge
  with bridge.Worker("return 6 * 7") as worker:
    assert worker.join(timeout=30) == 42
  print("Python: 42, from", bridge.__file__)'
from_python() {
  PYTHONPATH=$(dirname -- "$(dirname -- "$(find_one "$1" _core.so)")") \
    "$python" -c "$python_program"
}

# ---- stranger ----

part_stranger() {
  local prefix="$folder/moved here" libraries version
  quietly cmake --install "$build" --prefix "$folder/first"
  mv -- "$folder/first" "$prefix"
  libraries=$(dirname -- "$(find_one "$prefix" 'libbridge.so.0')")
  export PKG_CONFIG_PATH=$libraries/pkgconfig
  version=$(pkg-config --modversion libbridge)

  LC_ALL=C readelf -d "$libraries/libbridge.so" | grep -F SONAME | grep -F '[libbridge.so.0]' ||
    fail "the soname is wrong"
  ! pkg-config --cflags libbridge | grep -i lua ||
    fail "the flags name Lua, which the headers do not need"

  echo "-- pkg-config"
  by_pkg_config "$libraries" c c-shared
  is_shared "$folder/c-shared"
  "$folder/c-shared" "$version"
  by_pkg_config "$libraries" cc cxx-shared
  is_shared "$folder/cxx-shared"
  "$folder/cxx-shared"

  echo "-- pkg-config --static"
  if echo 'int main(void) { return 0; }' | eval "$cc -static -x c - -o '$folder/trial' $(pkg-config --static --libs lua5.4)" 2>/dev/null; then
    static=1 by_pkg_config "$libraries" c c-static --static
    ! needed "$folder/c-static" || fail "it is not static"
    "$folder/c-static" "$version"
  else
    echo "skipped: there is no static Lua here"
  fi

  echo "-- find_package"
  by_find_package "$prefix" cmake "shared;static"
  is_shared "$folder/cmake/consumer"
  is_static "$folder/cmake/consumer_static"
  "$folder/cmake/consumer" "$version"
  "$folder/cmake/consumer_cxx"
  "$folder/cmake/consumer_static" "$version"

  from_lua "$prefix"
  from_python "$prefix"
}

# ---- parent ----

part_parent() {
  local tree=$build/install-parent
  rm -rf -- "$tree"
  quietly cmake -S "$here/parent" -B "$tree" -G Ninja -DBRIDGE_SOURCE="$source" \
    -DBRIDGE_STATIC=ON -DCMAKE_C_COMPILER="$cc" -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_INSTALL_PREFIX="$folder/parent"
  quietly cmake --build "$tree"
  # A second time the cache is as the bridge left it.
  quietly cmake "$tree"
  is_shared "$tree/consumer"
  is_static "$tree/consumer_static"
  "$tree/consumer"
  "$tree/consumer_static"
  quietly cmake --install "$tree"
  [ "$(find "$folder/parent" -type f -printf '%f\n')" = libown.a ] ||
    fail "this was installed: $(find "$folder/parent" -type f)"
}

# ---- layouts ----

# layout ROOT PREFIX [OPTION...]: built in a tree of its own, installed in ROOT.
layout() {
  local root=$1 prefix=$2
  shift 2
  quietly cmake -S "$source" -B "$build/install-layouts" -G Ninja -U 'CMAKE_INSTALL_*' \
    -U BRIDGE_PYTHON_DIR -DCMAKE_C_COMPILER="$cc" -DCMAKE_BUILD_TYPE=Release \
    -DBRIDGE_TESTS=OFF -DBRIDGE_EXAMPLES=OFF -DBRIDGE_SHARED=ON -DBRIDGE_STATIC=ON \
    -DBRIDGE_LUA=ON -DBRIDGE_PYTHON=ON -DBRIDGE_PYTHON_EXECUTABLE="$python" \
    -DBRIDGE_LUA_EXECUTABLE="$lua" -DCMAKE_INSTALL_PREFIX="$prefix" "$@"
  quietly cmake --build "$build/install-layouts"
  DESTDIR=$root quietly cmake --install "$build/install-layouts"
}

# Whether the interpreters look there without being told: their own paths, but
# below ROOT.
found_in() {
  local root=$1 prefix=$2
  if "$lua" -e 'os.exit(package.cpath:find("'"$prefix"'/lib", 1, true) ~= nil)'; then
    ROOT=$root "$lua" -e 'local root = os.getenv("ROOT"):gsub("%%", "%%%%")
      package.path = package.path:gsub("%f[^;\0]/", root .. "/")
      package.cpath = package.cpath:gsub("%f[^;\0]/", root .. "/")
      local file = assert(package.searchpath("bridge.core", package.cpath))
      local worker <close> = assert(require("bridge").worker("return 6 * 7"))
      assert(worker:join(30) == 42)
      print("Lua finds " .. file)'
  else
    echo "this Lua does not look in $prefix"
  fi
  if "$python" -c "import sys; sys.exit(not any(p.startswith('$prefix/lib/python') and 'packages' in p for p in sys.path))"; then
    ROOT=$root "$python" -c 'if True:
      import os, sys
      sys.path[:0] = [os.environ["ROOT"] + p for p in sys.path if p.startswith("/")]
      import bridge
      assert bridge.__file__.startswith(os.environ["ROOT"]), bridge.__file__
      with bridge.Worker("return 6 * 7") as worker:
        assert worker.join(timeout=30) == 42
      print("Python finds", bridge.__file__)'
  else
    echo "this Python does not look in $prefix"
  fi
}

part_layouts() {
  local prefix libraries cache=$build/install-layouts/CMakeCache.txt
  # It is of no use where the sources were elsewhere.
  grep -qsxF "CMAKE_HOME_DIRECTORY:INTERNAL=$source" "$cache" ||
    rm -rf -- "$build/install-layouts"
  for prefix in /usr /usr/local; do
    echo "-- $prefix, staged"
    layout "$staged$prefix" "$prefix"
    found_in "$staged$prefix" "$prefix"
    libraries=$(dirname -- "$(find_one "$staged$prefix" 'libbridge.so.0')")
    export PKG_CONFIG_PATH=$libraries/pkgconfig
    by_pkg_config "$libraries" c staged
    "$folder/staged"
    PKG_CONFIG_SYSROOT_DIR=$staged$prefix by_pkg_config "$libraries" c sysroot
    "$folder/sysroot"
  done

  echo "-- absolute folders with spaces"
  layout "" "$folder/the prefix" "-DCMAKE_INSTALL_LIBDIR=$folder/the libraries" \
    "-DCMAKE_INSTALL_INCLUDEDIR=$folder/the headers"
  libraries=$folder/the\ libraries
  export PKG_CONFIG_PATH=$libraries/pkgconfig
  [ "$(pkg-config --variable=libdir libbridge | tr -d '\\')" = "$libraries" ] || fail "libdir"
  by_pkg_config "$libraries" c absolute
  "$folder/absolute"
  by_find_package "$libraries/cmake/bridge" absolute-cmake "shared"
  "$folder/absolute-cmake/consumer"
  from_python "$folder/the prefix"

  echo "-- nothing but a static library, in a deep folder"
  layout "" "$folder/only" -DBRIDGE_SHARED=OFF -DBRIDGE_LUA=OFF \
    -DBRIDGE_PYTHON=OFF -DCMAKE_INSTALL_LIBDIR=lib/very/deep
  ! find "$folder/only" -name '*.so*' -o -name '*.lua' -o -name '*.py' | grep . ||
    fail "more was installed"
  libraries=$folder/only/lib/very/deep
  export PKG_CONFIG_PATH=$libraries/pkgconfig
  by_pkg_config "$libraries" c only-static
  is_static "$folder/only-static"
  "$folder/only-static"
  by_find_package "$libraries/cmake/bridge" only-cmake "static"
  is_static "$folder/only-cmake/consumer"
  "$folder/only-cmake/consumer"
}

"part_$part"
