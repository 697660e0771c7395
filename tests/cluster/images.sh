# The layers of the cluster's images, made without a registry. Sourced by up.
# A change here makes all of them again: their cache's key has this file in it.

SUITE=bookworm # Debian's with Python 3.11

make_layers() {
  provide "$PAUSE" pause_layer
  provide "$PYTHON" python_layer
  provide "$NOTEBOOK" notebook_layer
}

# pack ROOT: the tree as a layer.
pack() {
  tar --create --file=layer.tar --directory="$1" --numeric-owner .
  rm -rf --one-file-system "$1"
}

pause_layer() {
  mkdir root
  cc -Wall -Os -static -s -o root/pause "$HERE/images/pause.c"
  pack root
}

# The standard library and nothing else, as in the image of that name.
python_layer() {
  local mirror
  mapfile -t mirror < <(apt_mirror)
  debootstrap --variant=minbase --include=ca-certificates,python3 "$SUITE" root "${mirror[@]}"
  ln -s /usr/bin/python3 root/usr/local/bin/python3
  ln -s /usr/bin/python3 root/usr/local/bin/python
  # What debootstrap took from this machine or needs no more.
  rm -rf root/etc/{hostname,resolv.conf} root/var/{cache/apt,lib/apt/lists,log}/* root/usr/share/{doc,locale,man}/*
  pack root
}

# Where apt has SUITE from on this machine, if it does; debootstrap knows a mirror otherwise.
apt_mirror() {
  # shellcheck disable=SC2016 # apt's own variables
  apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' "Codename: $SUITE" | sort -u | head -n 1
}

# On top of python_layer: the packages of requirements.txt, whatever Python this machine has, compiled by the image's own.
notebook_layer() {
  local packages=usr/local/lib/python3.11/dist-packages machine
  machine=$(uname -m)
  mkdir root layer
  tar --extract --file="$PYTHON/layer.tar" --directory=root
  /usr/bin/python3 -m venv pip
  pip/bin/pip install --quiet --no-compile --no-deps --requirement="$HERE/images/requirements.txt" --target="root/$packages" \
    --only-binary=:all: --python-version=3.11 --platform="manylinux_2_28_$machine" --platform="manylinux_2_27_$machine" \
    --platform="manylinux_2_17_$machine" --platform="manylinux2014_$machine"
  find "root/$packages" -type d -name tests -prune -exec rm -rf {} +
  chroot root python3 -m compileall -q "/$packages"
  mkdir -p "layer/$packages"
  mv "root/$packages"/* "layer/$packages/"
  rm -rf --one-file-system root pip
  pack layer
}
