# What the machine itself must have, from Debian or Ubuntu. Sourced by up.

PACKAGES=(ca-certificates debian-archive-keyring debootstrap gcc iproute2 libc6-dev openssl procps python3 python3-venv runc)

install_packages() {
  local missing
  mapfile -t missing < <(comm -23 <(printf '%s\n' "${PACKAGES[@]}") <(installed_packages))
  [ ${#missing[@]} != 0 ] || return 0
  say "packages     ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq >&2 || say 'apt-get update: failed; going on with what apt knows'
  apt-get install -qq --no-install-recommends "${missing[@]}" > "$CACHE/packages.log" 2>&1 ||
    { tail -n 20 "$CACHE/packages.log" >&2; exit 1; }
}

installed_packages() {
  # shellcheck disable=SC2016 # dpkg's own variables
  dpkg-query -W -f '${Package} ${db:Status-Status}\n' | sed -n 's/ installed$//p' | sort -u
}
