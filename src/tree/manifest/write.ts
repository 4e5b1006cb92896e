/**
 * Writes a tree as its manifest: composefs-dump(5) text in the canonical form, whose SHA-256 names the tree.
 * Every rule is in docs/design/canonical-form.md and is identity for ever.
 */
import { digestPath, sha256Stream, type Digest } from '../../core/digest.ts';
import { countLinks } from '../canonical.ts';
import { formatBits, type Entry, type Xattrs } from '../entry.ts';
import { escapeOptional, escapePath, escapeXattr } from './escape.ts';

/** Characters gathered before they become bytes: large enough to be fast, small enough to stay lean. */
const chunkLength = 1 << 20;

/**
 * The manifest of canonical `entries`, in pieces of about 1 MiB. Throws a plain Error when paths are not in
 * order (a fault of the caller, who must not give a wrong tree a name); findProblem finds the rest.
 */
export function* writeManifest(entries: readonly Entry[]): Generator<Buffer, void, undefined> {
  const links = countLinks(entries);
  let text = '';
  let previous = '';
  for (let at = 0; at < entries.length; at++) {
    const entry = entries[at]!;
    if (entry.path <= previous) throw new Error(`entries are not in canonical order at ${entry.path}`);
    previous = entry.path;
    text += manifestLine(entry, links[at]!);
    if (text.length < chunkLength) continue;
    yield Buffer.from(text, 'latin1');
    text = '';
  }
  if (text !== '') yield Buffer.from(text, 'latin1');
}

/** The name of the tree, without holding its manifest. */
export function manifestDigest(entries: readonly Entry[]): Digest {
  const hash = sha256Stream();
  for (const chunk of writeManifest(entries)) hash.update(chunk);
  return hash.digest('hex');
}

function manifestLine(entry: Entry, links: number): string {
  const mode = (formatBits[entry.type] | entry.mode).toString(8);
  const at = entry.hardlink === undefined ? '' : '@';
  const xattrs = entry.xattrs.length === 0 ? '' : xattrFields(entry.xattrs);
  return `${escapePath(entry.path)} ${entry.size} ${at}${mode} ${links} ${entry.uid} ${entry.gid} ${entry.rdev} ${entry.mtime}.${entry.mtimeNsec} ${payload(entry)} - -${xattrs}\n`;
}

function payload(entry: Entry): string {
  if (entry.hardlink !== undefined) return escapeOptional(entry.hardlink);
  if (entry.digest !== undefined) return digestPath(entry.digest);
  return entry.target === undefined ? '-' : escapeOptional(entry.target);
}

function xattrFields(xattrs: Xattrs): string {
  let text = '';
  for (const [name, value] of xattrs) text += ` ${escapeXattr(name)}=${escapeXattr(value)}`;
  return text;
}
