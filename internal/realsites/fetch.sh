#!/bin/sh
# Downloads documentation packages of Debian and unpacks them into a folder, for
# the test of this directory. Nothing is installed.
#
#   fetch.sh DIR [PACKAGE...]
set -eu
dir=${1:?usage: fetch.sh DIR [PACKAGE...]}
shift
[ $# -gt 0 ] || set -- debian-policy python3.11-doc postgresql-doc-15 apache2-doc
mkdir -p "$dir"
cd "$dir"
for package; do
	[ -d "$package" ] && continue
	apt-get download -q "$package" || {
		echo "fetch.sh: $package is not to be had; the test wants two of them" >&2
		continue
	}
	dpkg-deb -x "$package"_*.deb "$package.part"
	rm "$package"_*.deb
	mv "$package.part" "$package"
done
