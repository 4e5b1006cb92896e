/**
 * The first code that runs. It turns on the compile cache, without which every start would strip and compile all
 * modules again, shortens the way to our own modules, and hands over to src/cli/main.ts. It is JavaScript because it
 * runs before that cache is there.
 *
 * A compile cache is code: whoever can write to it runs programs as its reader. So it is used only where nobody
 * but the caller (and root) can: a 0700 directory of the calling uid whose parents nobody else can change. Root
 * never takes one below $HOME, which sudo may leave pointing at another user's.
 */
import { lstatSync, mkdirSync, realpathSync } from 'node:fs';
import { enableCompileCache, registerHooks } from 'node:module';

const uid = process.geteuid();
const directory = privateDirectory(cacheDirectory());
// Worker threads look at the variable, not at what the main thread enabled.
if (directory !== undefined) {
  process.env.NODE_COMPILE_CACHE = directory;
  enableCompileCache();
}
// bin/cellar kept them from this process: they are for what it starts.
if (process.env.CELLAR_NODE_OPTIONS !== undefined) {
  process.env.NODE_OPTIONS = process.env.CELLAR_NODE_OPTIONS;
  delete process.env.CELLAR_NODE_OPTIONS;
}
registerHooks({ resolve: resolveOwn });
await import('../src/cli/main.ts');

/**
 * A module of ours is where its name says, and so is a builtin: no links to follow, no package to look up, which is a
 * sixth of the time that a small command takes. Source: nodejs.org/api/module.html, "Synchronous customization hooks".
 */
function resolveOwn(specifier, context, resolveByNode) {
  if (specifier.startsWith('node:')) return { url: specifier, format: 'builtin', shortCircuit: true };
  if (!specifier.startsWith('.') || !specifier.endsWith('.ts')) return resolveByNode(specifier, context);
  let end = context.parentURL.lastIndexOf('/');
  let from = specifier.startsWith('./') ? 2 : 0;
  for (; specifier.startsWith('../', from); from += 3) end = context.parentURL.lastIndexOf('/', end - 1);
  const url = `${context.parentURL.slice(0, end)}/${specifier.slice(from)}`;
  return { url, format: 'module-typescript', shortCircuit: true };
}

function cacheDirectory() {
  if (uid === 0) return '/var/cache/cellar/compile';
  const { XDG_CACHE_HOME: xdg, HOME: home } = process.env;
  if (xdg?.startsWith('/')) return `${xdg}/cellar/compile`;
  return home?.startsWith('/') ? `${home}/.cache/cellar/compile` : undefined;
}

/** The real path of `path`, made if need be; `undefined` when it cannot be trusted. */
function privateDirectory(path) {
  if (path === undefined) return undefined;
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    const real = realpathSync(path);
    const { uid: owner, mode } = lstatSync(real);
    return owner === uid && (mode & 0o777) === 0o700 && parents(real).every(isSafe) ? real : undefined;
  } catch {
    return undefined;
  }
}

/** Owned by the caller or root, and written by its owner alone (or sticky, as /tmp is). */
function isSafe(path) {
  const { uid: owner, mode } = lstatSync(path);
  return (owner === uid || owner === 0) && ((mode & 0o022) === 0 || (mode & 0o1000) !== 0);
}

function parents(path) {
  const parts = path.split('/');
  return parts.slice(0, -1).map((_, at) => parts.slice(0, at + 1).join('/') || '/');
}
