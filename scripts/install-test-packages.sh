#!/bin/sh
# Installs what the tests use beside Node, on Debian and its kin: programs to compare with, file systems to try.
# Without root, or without them, the tests that need them are skipped and say so.
set -eu
# program:package
wanted='bsdtar:libarchive-tools
openssl:openssl
nginx:nginx-light
curl:curl
wget:wget
git:git
python3:python3
jsonschema:python3-jsonschema
zstd:zstd
xz:xz-utils
bzip2:bzip2
lz4:lz4
pigz:pigz
getfattr:attr
setfacl:acl
strace:strace
mkfs.ext4:e2fsprogs
mkfs.xfs:xfsprogs
mkfs.btrfs:btrfs-progs
fsck.erofs:erofs-utils
mksquashfs:squashfs-tools
sqfs2tar:squashfs-tools-ng
cpio:cpio
extlinux:extlinux
qemu-img:qemu-utils
qemu-system-x86_64:qemu-system-x86
lvcreate:lvm2
thin_check:thin-provisioning-tools
modprobe:kmod
sfdisk:fdisk
dockerd:docker.io
containerd:containerd
podman:podman
lxd:lxd
lxc:lxd-client
umoci:umoci
docker-registry:docker-registry
htpasswd:apache2-utils
skopeo:skopeo
buildah:buildah
fuse-overlayfs:fuse-overlayfs
fusermount3:fuse3
mmdebstrap:mmdebstrap
busybox:busybox-static
gpg:gnupg
gpgv:gpgv
systemd-nspawn:systemd-container
systemd-analyze:systemd
lxc-execute:lxc
setpriv:util-linux
shellcheck:shellcheck
zsh:zsh
fish:fish'
missing=
for pair in $wanted; do
  command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair#*:}"
done
# The kernel that test/vm boots is unpacked, not installed: this machine goes on with its own.
kernel=/var/cache/cellar-test/kernel
[ "$(uname -m)" != x86_64 ] || [ -d "$kernel/boot" ] || missing="$missing linux-image-cloud-amd64"
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "some tests will be skipped; they need:$missing" >&2
  exit 0
fi
export DEBIAN_FRONTEND=noninteractive
install() {
  packages=
  for package in $missing; do
    [ "$package" = linux-image-cloud-amd64 ] || packages="$packages $package"
  done
  # shellcheck disable=SC2086
  [ -z "$packages" ] || apt-get install -qq -y --no-install-recommends $packages >/dev/null 2>&1 || return 1
  case $missing in *linux-image-cloud-amd64*) unpack_kernel >/dev/null 2>&1 ;; esac
}
unpack_kernel() {
  image=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/^ *Depends: \(linux-image-[^ ]*\)$/\1/p' | head -n 1)
  [ -n "$image" ] || return 1
  mkdir -p "${kernel%/*}"
  work=$(mktemp -d "${kernel%/*}/XXXXXX")
  (
    cd "$work" && apt-get download -qq "$image" && dpkg -x ./*.deb . && rm ./*.deb &&
      { [ -d lib ] || ln -s usr/lib lib; } && depmod -b "$work" "${image#linux-image-}" && mv "$work" "$kernel"
  ) || {
    rm -rf "$work"
    return 1
  }
}
install || { apt-get update -qq >/dev/null 2>&1 && install; } || {
  echo "some tests will be skipped; these could not be installed:$missing" >&2
}
