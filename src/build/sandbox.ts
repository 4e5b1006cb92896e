/**
 * Runs a command inside a tree: chroot with mount, process, host-name and IPC namespaces of its own, so that what it
 * mounts and starts ends with it, whatever becomes of us. It keeps accidents from the machine (device nodes of the tree
 * do not work, the kernel cannot be touched); it is no prison for root, so recipes are to be trusted.
 */
import { once } from 'node:events';
import { constants } from 'node:os';
import { toBytes, type ByteString } from '../core/bytes.ts';
import { CellarError } from '../core/errors.ts';
import { childProcess } from '../sys/child-process.ts';
import { mountInfo } from '../sys/mountinfo.ts';

export interface SandboxRequest {
  /** Of the tree, absolute; `undefined` runs the command in the machine's own tree (a bootstrap). */
  readonly root: ByteString | undefined;
  /** The program, as the tree names it, and its arguments. */
  readonly command: readonly string[];
  /** All that the command gets. */
  readonly environment: Readonly<Record<string, string>>;
  /** Where a command without a root starts. */
  readonly directory?: string;
  /** Default true: the machine's own. False: none but a loopback that is down. */
  readonly network?: boolean;
  /** What it throws ends the command. */
  readonly output: (chunk: Buffer) => void;
  readonly signal: AbortSignal;
}

/** Directories that the tree must have; what is mounted on them is seen by the command alone. */
export const mountPoints = ['proc', 'sys', 'dev', 'run'] as const;

/**
 * @returns the exit code, 128 + N for one ended by signal N
 * @throws E_NOT_ALLOWED without root, E_MISSING_TOOL, E_CANCELLED when the signal fired (all its processes are gone then),
 *   and what `output` throws
 */
export async function runInSandbox(request: SandboxRequest): Promise<number> {
  requireRoot();
  const { root, environment, directory, network = true, output, signal } = request;
  const inside = root === undefined ? request.command : ['sh', '-c', setup, 'sandbox', ...request.command];
  const words = [
    // Ends with us, and everything in its process namespace with it.
    ...['--pdeathsig', 'KILL', '--bounding-set', '-sys_boot,-sys_module,-sys_rawio,-sys_time', '--'],
    ...['unshare', '--mount', '--pid', '--uts', '--ipc', '--fork', '--kill-child', '--mount-proc'],
    ...(network ? [] : ['--net']),
    '--',
    ...inside,
  ];
  const paths = root === undefined ? {} : { [rootName]: root, [othersName]: otherCheckouts(root).join('\n') };
  const child = childProcess().spawn('setpriv', words, {
    env: bytesAsText({ ...environment, ...paths }),
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(directory === undefined ? {} : { cwd: directory }),
  });
  const kill = (): void => void child.kill('SIGKILL');
  signal.addEventListener('abort', kill, { once: true });
  if (signal.aborted) kill();
  let failure: { readonly error: unknown } | undefined;
  const take = (chunk: Buffer): void => {
    try {
      if (failure === undefined) output(chunk);
    } catch (error) {
      failure = { error };
      kill();
    }
  };
  for (const stream of [child.stdout, child.stderr]) stream.on('data', take);
  try {
    const [code, by] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
    if (signal.aborted) throw new CellarError('E_CANCELLED');
    if (failure !== undefined) throw failure.error;
    return code ?? 128 + (by === null ? 0 : constants.signals[by]);
  } catch (error) {
    if (error instanceof Error && 'syscall' in error && error.syscall === 'spawn setpriv')
      throw new CellarError('E_MISSING_TOOL', {
        details: { program: 'setpriv', why: 'running commands in a tree', package: 'util-linux' },
        cause: error,
      });
    throw error;
  } finally {
    signal.removeEventListener('abort', kill);
  }
}

/** @throws E_NOT_ALLOWED */
export function requireRoot(): void {
  if (process.geteuid?.() === 0) return;
  throw new CellarError('E_NOT_ALLOWED', {
    details: { operation: 'running commands in a tree', problem: 'chroot and mounts need root' },
    hint: 'run it as root',
  });
}

const rootName = 'CELLAR_SANDBOX_ROOT';
const othersName = 'CELLAR_SANDBOX_OTHERS';

/**
 * Checkouts of others are let go first, else they could not be released while the command runs. Then the tree becomes a
 * mount that honours no device nodes; those it needs are bound from the machine's own /dev.
 */
const setup = `set -eu
PATH_INSIDE=$PATH PATH=/usr/sbin:/usr/bin:/sbin:/bin
root=$${rootName} others=$${othersName}
unset ${rootName} ${othersName}
printf '%s\\n' "$others" | while IFS= read -r point; do
  [ -z "$point" ] || umount -l -- "$point" 2>/dev/null || :
done
mount --bind -- "$root" "$root"
mount -o remount,bind,nodev -- "$root"
cd -- "$root"
mount -t proc -o nosuid,nodev,noexec proc proc
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs sys 2>/dev/null || :
mount -t tmpfs -o nosuid,nodev,mode=0755 tmpfs run
mount -t tmpfs -o nosuid,nodev,noexec,mode=0755 tmpfs dev
for node in null zero full random urandom tty; do
  : >dev/$node
  mount --bind /dev/$node dev/$node
done
mkdir dev/pts dev/shm
mount -t devpts -o nosuid,noexec,newinstance,ptmxmode=0666,mode=0620 devpts dev/pts
mount -t tmpfs -o nosuid,nodev,noexec,mode=1777 tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s /proc/self/fd/0 dev/stdin
ln -s /proc/self/fd/1 dev/stdout
ln -s /proc/self/fd/2 dev/stderr
echo localhost >/proc/sys/kernel/hostname 2>/dev/null || :
chroot=$(command -v chroot)
PATH=$PATH_INSIDE
unset PATH_INSIDE
exec "$chroot" "$root" "$@"
`;

function otherCheckouts(root: ByteString): ByteString[] {
  const ours = (point: ByteString): boolean => root === point || root.startsWith(`${point}/`);
  return mountInfo()
    .filter(({ source, root: of }) => source.startsWith('cellar:') || of.includes('/mnt/linked/'))
    .map(({ mountPoint }) => mountPoint)
    .filter((point) => !ours(point) && !point.includes('\n'));
}

/** Node writes an environment as UTF-8; bytes that are none cannot stand in it. */
function bytesAsText(environment: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(environment).map(([name, value]) =>
      name === rootName || name === othersName ? [name, toBytes(value).toString('utf8')] : [name, value],
    ),
  );
}
