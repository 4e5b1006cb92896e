/**
 * An archive's own `/etc/passwd` and `/etc/group`, kept aside while it streams by, so that names in ACL text
 * resolve in the tree they came with and never in the host's files.
 */
import { fromBytes, type ByteString } from '../../core/bytes.ts';
import type { ResolveName } from '../../tree/tar/acl.ts';
import type { TarMember } from '../../tree/tar/parse.ts';

const largest = 8 << 20;

export interface AccountFiles {
  /** The member that `data` belongs to from now on. */
  member(member: TarMember): void;
  data(chunk: Uint8Array, start: number, end: number): void;
  /** The same in one step, where content can be read at will. */
  read(member: TarMember, content: (length: number) => Uint8Array): void;
  resolvers(): { resolveUser: ResolveName; resolveGroup: ResolveName };
}

export function createAccountFiles(): AccountFiles {
  const texts: Record<string, ByteString> = { 'etc/passwd': '', 'etc/group': '' };
  let current: string | undefined;
  const files: AccountFiles = {
    member({ path, type, size }) {
      const clean = /etc\/(?:passwd|group)$/.test(path) ? path.replace(/^(?:\.?\/)+/, '') : '';
      current = type === 'file' && size <= largest && clean in texts ? clean : undefined;
      if (current !== undefined) texts[current] = '';
    },
    data(chunk, start, end) {
      if (current !== undefined) texts[current] += fromBytes(chunk.subarray(start, end));
    },
    read(member, content) {
      files.member(member);
      if (current === undefined || member.sparse !== undefined) return;
      const bytes = content(member.size);
      files.data(bytes, 0, bytes.length);
    },
    resolvers() {
      return { resolveUser: lookUp(texts['etc/passwd']!), resolveGroup: lookUp(texts['etc/group']!) };
    },
  };
  return files;
}

/** Both files have `name:password:number:…` lines. Source: passwd(5), group(5). */
function lookUp(text: ByteString): ResolveName {
  let numbers: Map<ByteString, number> | undefined;
  return (name) => {
    numbers ??= new Map(
      text.split('\n').flatMap((line) => {
        const [key, , number] = line.split(':');
        return key !== undefined && number !== undefined && /^\d+$/.test(number)
          ? [[key, Number(number)] as const]
          : [];
      }),
    );
    return numbers.get(name);
  };
}
