/** Bytes that come one chunk at a time, into a file that nobody looks at yet. */
import { open } from 'node:fs/promises';

/** The file must not exist. A chunk is taken before the next is asked for. */
export async function writeChunks(
  file: string,
  chunks: AsyncIterable<Uint8Array>,
  mode = 0o600,
): Promise<void> {
  await using output = await open(file, 'wx', mode);
  for await (const chunk of chunks) await output.writeFile(chunk);
}
