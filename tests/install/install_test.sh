#!/usr/bin/env bash
# Install into an empty folder, move that folder, and use what is in it as a
# stranger would: by pkg-config, by find_package, from Lua and from Python.
#
#   install_test.sh BUILD SOURCE LUA PYTHON CC [CFLAGS...]
set -euo pipefail
build=$1 source=$2 lua=$3 python=$4 cc=$5
shift 5

folder=$(mktemp -d "${TMPDIR:-/tmp}/bridge install.XXXXXX")
trap 'rm -rf -- "$folder"' EXIT
cmake --install "$build" --prefix "$folder/first" >"$folder/install.log"
prefix="$folder/moved here"
mv -- "$folder/first" "$prefix"

find_one() { find "$prefix" -name "$1" -print -quit; }
libraries=$(dirname -- "$(find_one 'libbridge.so.0')")

echo "-- pkg-config"
export PKG_CONFIG_PATH=$libraries/pkgconfig
# The words come quoted by pkg-config, since this folder has spaces.
case $(pkg-config --cflags libbridge) in
*lua*) echo "the flags name Lua, which the headers do not need" >&2 && exit 1 ;;
esac
flags=()
eval "flags=($(pkg-config --cflags --libs libbridge))"
"$cc" -std=c11 -Wall -Wextra -Wpedantic -Werror "$source/tests/install/consumer.c" \
  -o "$folder/by-pkg-config" "$@" "${flags[@]}" -Wl,-rpath,"$libraries"
"$folder/by-pkg-config" "$(pkg-config --modversion libbridge)"

echo "-- find_package"
cmake -S "$source/tests/install" -B "$folder/consumer" -G Ninja \
  -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$cc" \
  -DCMAKE_C_FLAGS="$*" >"$folder/cmake.log"
cmake --build "$folder/consumer" >>"$folder/cmake.log"
"$folder/consumer/consumer" "$(pkg-config --modversion libbridge)"

echo "-- Lua"
share=$(dirname -- "$(dirname -- "$(find_one init.lua)")")
native=$(dirname -- "$(dirname -- "$(find_one core.so)")")
env -u LUA_INIT LUA_PATH="$share/?.lua;$share/?/init.lua" LUA_CPATH="$native/?.so" \
  "$lua" -e 'local bridge = require "bridge"
             local worker <close> = assert(bridge.worker("return 6 * 7"))
             assert(worker:join(30) == 42)
             print("Lua: 42")'

echo "-- Python"
packages=$(dirname -- "$(dirname -- "$(find_one _core.so)")")
PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$packages "$python" -c 'if True:
  import bridge
  with bridge.Worker("return 6 * 7") as worker:
    assert worker.join(timeout=30) == 42
  print("Python: 42")'
