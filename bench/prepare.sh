#!/bin/sh
# Makes what the benchmarks measure on, under $LAB (default ${TMPDIR:-/tmp}/lab); what exists is kept:
#   mnt/{ext4,xfs,btrfs}  loop file systems (journaled ext4, xfs with reflink, btrfs), direct-io so that pages
#                         are not cached twice
#   trees/{base-v1,base-v2,svc-A,svc-B}  four related Debian root file systems
#   tars/NAME.tar, NAME.tar.gz, NAME.tar.zst, and NAME.nodev.tar (OSTree stores no device nodes)
# Needs root. Making the trees needs mmdebstrap and MIRROR=, SECMIRROR= (a bookworm archive and its security one).
set -eu
: "${LAB:=${TMPDIR:-/tmp}/lab}" "${SIZE:=30G}"
mkdir -p "$LAB/img" "$LAB/mnt" "$LAB/trees" "$LAB/tars"

for fs in ext4 xfs btrfs; do
  mnt=$LAB/mnt/$fs img=$LAB/img/$fs.img
  mountpoint -q "$mnt" && continue
  mkdir -p "$mnt"
  if [ ! -e "$img" ]; then
    truncate -s "$SIZE" "$img"
    case $fs in
      ext4) mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 "$img" ;;
      xfs) mkfs.xfs -q -m reflink=1 "$img" ;;
      btrfs) mkfs.btrfs -q "$img" ;;
    esac
  fi
  mount "$(losetup --show -f --direct-io=on "$img")" "$mnt"
done

packages="systemd,systemd-sysv,dbus,udev,locales,python3,python3-venv,python3-pip,python3-dev,python3-yaml,\
python3-requests,python3-cryptography,python3-openstackclient,nginx-light,openssh-server,perl,git,curl,wget,\
vim-tiny,iproute2,iputils-ping,sudo,cron,rsyslog,logrotate,chrony,bind9-dnsutils,netcat-openbsd,socat,jq,tmux,\
ca-certificates,lsof,strace,procps,psmisc,unzip,xz-utils,zstd,gnupg,gcc,g++,make,libssl-dev,libvirt-clients,\
tcpdump,htop,less,man-db,rsync,openvswitch-switch,ebtables,nftables,keepalived,haproxy,qemu-utils,mariadb-client,\
memcached,lvm2,xfsprogs,acl,attr,bash-completion,tzdata,openssl"

base() { # base NAME APT-LINE...
  name=$1; shift
  [ -e "$LAB/trees/$name" ] && return 0
  : "${MIRROR:?}" "${SECMIRROR:?}"
  mmdebstrap --quiet --mode=root --variant=minbase --include="$packages" \
    --customize-hook='sed -i "s/^# *en_US.UTF-8/en_US.UTF-8/" "$1/etc/locale.gen"; chroot "$1" locale-gen' bookworm "$LAB/trees/$name" "$@"
}
service() { # service NAME PACKAGE... : base-v2 with more in it
  name=$1; shift
  [ -e "$LAB/trees/$name" ] && return 0
  tree=$LAB/trees/$name
  cp -a "$LAB/trees/base-v2" "$tree"
  printf '#!/bin/sh\nexit 101\n' >"$tree/usr/sbin/policy-rc.d"; chmod 755 "$tree/usr/sbin/policy-rc.d"
  cp /etc/resolv.conf "$tree/etc/resolv.conf"
  chroot "$tree" sh -c 'apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -qy \
    --no-install-recommends install "$@" && apt-get clean && rm -rf /var/lib/apt/lists/*' sh "$@"
  rm -f "$tree/usr/sbin/policy-rc.d"
}
base base-v1 "deb ${MIRROR:-} bookworm main"
base base-v2 "deb ${MIRROR:-} bookworm main" "deb ${SECMIRROR:-} bookworm-security main"
service svc-A postgresql postgresql-contrib redis-server python3-psycopg2
service svc-B apache2 php php-mysql php-xml php-mbstring php-gd libapache2-mod-php

pack() { # pack NAME SUFFIX TAR-OPTION...
  name=$1 out=$LAB/tars/$1$2; shift 2
  [ -e "$out" ] && return 0
  tar -C "$LAB/trees/$name" --numeric-owner --xattrs --xattrs-include='*' --acls --sort=name --one-file-system \
    "$@" -cf "$out.new" .
  mv "$out.new" "$out"
}
for name in base-v1 base-v2 svc-A svc-B; do
  pack $name .tar
  pack $name .nodev.tar --exclude='./dev/*'
done
for name in base-v1 base-v2; do
  tar=$LAB/tars/$name.tar
  [ -e "$tar.zst" ] || { zstd -q -3 -T2 -o "$tar.zst.new" "$tar" && mv "$tar.zst.new" "$tar.zst"; }
  [ -e "$tar.gz" ] || { pigz -6 <"$tar" >"$tar.gz.new" && mv "$tar.gz.new" "$tar.gz"; }
done
sync
ls -l "$LAB/tars"
