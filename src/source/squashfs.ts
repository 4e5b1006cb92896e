/**
 * A squashfs image as a tar stream, so that one importer serves both. sqfs2tar reads the image and writes to a pipe:
 * nothing is mounted, and nothing is unpacked twice.
 */
import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { CellarError } from '../core/errors.ts';
import { isErrno, toCellarError } from '../sys/errno.ts';

const program = 'sqfs2tar';

/**
 * The whole image at `path`, its root included, as an unpacked tar. Sockets are left out, as every packer does.
 * The program is gone when the generator ends.
 * @param shown what messages call it, where nobody but us knows the path
 * @throws E_MISSING_TOOL, E_SQUASHFS_CORRUPT also after the last chunk, E_CANCELLED
 */
export async function* squashfsToTar(
  path: string,
  signal: AbortSignal,
  shown = path,
): AsyncGenerator<Buffer> {
  if (signal.aborted) throw new CellarError('E_CANCELLED');
  const env = { PATH: process.env['PATH'], LC_ALL: 'C' };
  const child = spawn(program, ['--root-becomes', '.', resolve(path)], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env,
  });
  const kill = (): void => void child.kill('SIGKILL');
  signal.addEventListener('abort', kill, { once: true });
  const complaints = complaintsIn(child.stderr);
  const exit = new Promise<{ code: number | null; failure?: Error }>((settle) => {
    child.on('error', (failure) => settle({ code: null, failure }));
    child.on('close', (code) => settle({ code }));
  });
  try {
    for await (const chunk of child.stdout) yield chunk as Buffer;
    const { code, failure } = await exit;
    if (signal.aborted) throw new CellarError('E_CANCELLED');
    if (failure !== undefined) throw notStarted(failure, path);
    const [complaint] = await complaints;
    // It skips what it cannot write and calls that success; an image that lost something is not the image.
    if (code !== 0 || complaint !== undefined)
      throw new CellarError('E_SQUASHFS_CORRUPT', {
        details: {
          path: shown,
          problem:
            complaint?.replaceAll(resolve(path), shown) ?? `${program} ended with ${code ?? 'a signal'}`,
        },
      });
  } finally {
    signal.removeEventListener('abort', kill);
    kill();
    await exit;
  }
}

/** What it said besides that it left sockets out; the first lines only, read to the end all the same. */
async function complaintsIn(stream: AsyncIterable<Buffer>): Promise<string[]> {
  const complaints: string[] = [];
  let rest = '';
  for await (const chunk of stream) {
    const lines = (rest + chunk.toString()).split('\n');
    rest = lines.pop()!.slice(-maxLine);
    complaints.push(...lines.filter(isComplaint).slice(0, maxComplaints - complaints.length));
  }
  return isComplaint(rest) ? [...complaints, rest] : complaints;
}

const maxLine = 8192;
const maxComplaints = 5;

function isComplaint(line: string): boolean {
  return line.trim() !== '' && !/: cannot pack socket$|^Skipping /.test(line);
}

function notStarted(failure: Error, path: string): CellarError {
  if (isErrno(failure, 'ENOENT', 'EACCES'))
    return new CellarError('E_MISSING_TOOL', {
      details: { program, why: 'it reads squashfs images', package: 'squashfs-tools-ng' },
    });
  return toCellarError(failure, { doing: `starting ${program}`, path });
}
