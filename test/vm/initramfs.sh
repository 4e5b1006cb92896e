#!/bin/busybox sh
# shellcheck shell=dash
# First program of the guest: loads modules, puts a layer in memory over the read-only root, and goes there.
b=/bin/busybox
$b mkdir -p /proc /sys /dev /ro /rw /new
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
$b mount -t devtmpfs dev /dev
while read -r module; do $b insmod "/modules/$module"; done </modules/order
# Disks are found in no particular order, but each has a name.
for disk in /sys/block/vd*; do $b ln -s "${disk##*/}" "/dev/$($b cat "$disk/serial")"; done
$b mount -t squashfs -o ro /dev/root /ro
$b mount -t tmpfs rw /rw
$b mkdir /rw/upper /rw/work
$b mount -t overlay -o lowerdir=/ro,upperdir=/rw/upper,workdir=/rw/work root /new
for directory in proc sys dev; do
  $b mkdir -p /new/$directory
  $b mount --move /$directory /new/$directory
done
exec $b switch_root /new /bin/busybox sh /guest.sh
