#!/bin/busybox sh
# shellcheck shell=dash
# Process 1 of the guest: runs what comes over the second serial port, a script in base64 on each line, and ends each
# with its exit code.
export PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/usr/local/bin HOME=/root
busybox mkdir -p /usr/local/bin /etc/lvm /root /run /tmp /var/tmp /var/cache
busybox --install -s /usr/local/bin
[ -e /usr/bin/sh ] || ln -s busybox /usr/bin/sh
# A checkout below /tmp is to be seen; the root's own /tmp can be written to as well.
[ -n "$(ls -A /tmp)" ] || mount -t tmpfs -o mode=1777 tmp /tmp
mount -t tmpfs run /run
echo 'root:x:0:0:root:/root:/bin/sh' >/etc/passwd
# There is no udev: LVM makes its device nodes itself.
cat >/etc/lvm/lvm.conf <<'CONF'
activation { udev_sync=0 udev_rules=0 monitoring=0 }
devices { obtain_device_list_from_udev=0 use_devicesfile=0 }
global { use_lvmpolld=0 event_activation=0 }
backup { backup=0 archive=0 }
CONF
# Compiled code outlives the guest: making it again at every boot takes longer than the tests.
mount -t ext4 /dev/cache /var/cache
exec </dev/ttyS1 >/dev/ttyS1 2>&1
stty raw -echo -onlcr
echo '=== ready'
while read -r line; do
  echo "$line" | base64 -d >/run/script
  sh -e /run/script </dev/null
  # On a line of its own, however the script's output ended.
  printf '\n=== exit %s\n' $?
done
