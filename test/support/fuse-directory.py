# A FUSE file system of the type given (fuse.sshfs ...) with one file, for tests of what is refused on network file systems:
# fuse-directory.py TYPE MOUNTPOINT NAME TEXT. Prints a line once it is mounted; ends when it is unmounted.
import ctypes, os, struct, sys

kind, point, name, text = sys.argv[1], sys.argv[2], os.fsencode(sys.argv[3]), sys.argv[4].encode() + b"\n"
libc = ctypes.CDLL(None, use_errno=True)
fd = os.open("/dev/fuse", os.O_RDWR)
data = f"fd={fd},rootmode=40700,user_id=0,group_id=0,allow_other"
if libc.mount(b"test", os.fsencode(point), kind.encode(), 0, data.encode()) != 0:
    sys.exit(os.strerror(ctypes.get_errno()))
print("mounted", flush=True)

ENOENT, ENOSYS = 2, 38
LOOKUP, FORGET, GETATTR, OPEN, READ, STATFS, INIT, OPENDIR, READDIR = 1, 2, 3, 14, 15, 17, 26, 27, 28


def attr(inode):
    mode, size = (0o40700, 0) if inode == 1 else (0o100600, len(text))
    return struct.pack("<6Q10I", inode, size, 1, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


def answer(op, inode, body):
    if op == INIT:
        return struct.pack("<IIIIHHIIHHI28x", 7, 31, 0, 0, 0, 0, 65536, 1, 0, 0, 0)
    if op == GETATTR:
        return struct.pack("<QII", 60, 0, 0) + attr(inode)
    if op == LOOKUP:
        if body.rstrip(b"\0") != name:
            return -ENOENT
        return struct.pack("<QQQQII", 2, 0, 60, 60, 0, 0) + attr(2)
    if op in (OPEN, OPENDIR):
        return struct.pack("<QII", 0, 0, 0)
    if op == READ:
        return text[struct.unpack_from("<Q", body, 8)[0] :]
    if op == READDIR:
        return b""
    if op == STATFS:
        return struct.pack("<5Q4I24x", 1 << 20, 1 << 19, 1 << 19, 100, 100, 4096, 255, 4096, 0)
    return -ENOSYS


while True:
    try:
        request = os.read(fd, 1 << 20)
    except OSError:
        break  # unmounted
    length, op, unique, inode = struct.unpack_from("<IIQQ", request)
    if op == FORGET:
        continue
    said = answer(op, inode, request[40:length])
    error, payload = (said, b"") if isinstance(said, int) else (0, said)
    os.write(fd, struct.pack("<IiQ", 16 + len(payload), error, unique) + payload)
