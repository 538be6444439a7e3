#!/usr/bin/env bash
# Lua's source as the distribution packages it, patches and all, for builds in
# which a sanitizer has to see what happens inside Lua:
#
#   lua_source.sh FOLDER
#
# leaves it in FOLDER/lua, in the version that is installed, and does nothing if
# it is there already.  What is downloaded comes from the mirrors this machine
# has configured, and is checked by apt against their signatures.  Where there
# is no apt or no network, one line says so and the exit status is 1.
set -euo pipefail
mkdir -p -- "$1"
folder=$(cd -- "$1" && pwd -P)

[ -f "$folder/lua/src/lstate.c" ] && exit
trouble() { echo "no source of Lua: $*" >&2; exit 1; }
for tool in apt-get dpkg-source; do
  command -v $tool >/dev/null || trouble "$tool is not here"
done

work=$(mktemp -d "$folder/fetch.XXXXXX")
trap 'rm -rf -- "$work"' EXIT
mkdir -p -- "$work/lists/partial" "$work/cache/archives/partial"
chmod 755 "$work" # apt downloads as a user of its own

# What apt knows, but sources instead of binaries; other people's repositories
# have no Lua.
sources() {
  local file etc
  etc=$(apt-config shell e Dir::Etc/d) && eval "etc=${etc#e=}"
  for file in "$etc"/sources.list "$etc"/sources.list.d/*.list; do
    [ ! -r "$file" ] || sed -nE '/\/(debian|ubuntu)/s/^deb(-src)?[[:space:]]/deb-src /p' "$file"
  done | sort -u >"$work/all.list"
  for file in "$etc"/sources.list.d/*.sources; do
    [ ! -r "$file" ] || sed '/^#/d' "$file" |
      awk 'BEGIN { RS = ""; ORS = "\n\n" } /URIs:[^\n]*\/(debian|ubuntu)/' |
      sed 's/^Types:.*/Types: deb-src/'
  done >"$work/all.sources"
}

apt() {
  apt-get -q -o Dir::Etc::SourceList=/dev/null \
    -o Dir::Etc::SourceParts="$work/parts" -o Dir::State::Lists="$work/lists" \
    -o Dir::Cache="$work/cache" -o APT::Get::List-Cleanup=false \
    -o APT::Sandbox::User="$(id -un)" -o Acquire::Retries=1 -o Acquire::http::Timeout=20 \
    -o Acquire::https::Timeout=20 "$@"
}

version=$(dpkg-query -W -f '${source:Version}' liblua5.4-dev 2>/dev/null || true)
sources
mkdir "$work/parts"
mv "$work"/all.* "$work/parts"
{
  apt update || true
  cd -- "$work"
  apt source --download-only "lua5.4${version:+=$version}" ||
    apt source --download-only lua5.4
} >"$folder/fetch.log" 2>&1 || trouble "apt-get has none; see $folder/fetch.log"
# apt has checked the sums.
dpkg-source --no-check -x "$work"/*.dsc "$work/lua" >>"$folder/fetch.log" 2>&1 ||
  trouble "dpkg-source failed; see $folder/fetch.log"
rm -rf -- "$folder/lua"
mv -- "$work/lua" "$folder/lua"
