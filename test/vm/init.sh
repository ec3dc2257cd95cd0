#!/bin/sh
# The first process of the machine that the tests boot: mounts what a machine has, runs the tests, says how they ended,
# and switches the machine off. What the tests print goes to the serial line as it is.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
export PATH HOME

# The kernel's first root has no mount that it could be pivoted away from (pivot_root(2)), so that everything goes on in a
# second mount of it.
if [ "$1" != again ]; then
  mount --bind / /mnt
  cd /mnt
  mount --move . /
  exec chroot . /init again
fi

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /run
mount -t cgroup2 cgroup2 /sys/fs/cgroup
ip link set lo up

# The machine has no modprobe that the kernel could ask for it.
insmod /overlay.ko

# A disk, for limits on disks.
insmod /brd.ko rd_nr=1 rd_size=65536
mkfs.ext4 -q -O ^has_journal /dev/ram0 >/dev/null 2>&1
mount -t ext4 /dev/ram0 /var/tmp
chmod 1777 /tmp /var/tmp

cd /sandpiper || exit
echo "sandpiper-vm: begin"
sh /run-tests.sh
echo "sandpiper-vm: exit $?"
sync
echo o >/proc/sysrq-trigger
sleep 60
