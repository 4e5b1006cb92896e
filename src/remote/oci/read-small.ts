/** Whole small bodies of answers that carry more than a body: a status, a type, a link. */
import { CellarError, isCellarError } from '../../core/errors.ts';
import type { HttpResponse } from '../../net/port.ts';

const attempts = 3;

/**
 * Asks, and reads the body; a body that breaks off is asked for again.
 * @param limit bytes
 * @throws what `ask` does, E_HTTP_BODY, E_REGISTRY_INVALID when it is longer
 */
export async function askSmall(
  ask: () => Promise<HttpResponse>,
  limit: number,
): Promise<{ response: HttpResponse; bytes: Buffer }> {
  for (let attempt = 1; ; attempt++) {
    const response = await ask();
    try {
      return { response, bytes: await readSmall(response, limit) };
    } catch (error) {
      if (attempt === attempts || !isCellarError(error) || !error.retryable) throw error;
    }
  }
}

/** @throws what reading does, E_REGISTRY_INVALID when it is longer than `limit` bytes */
export async function readSmall(response: HttpResponse, limit: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response.body) {
    length += chunk.length;
    if (length > limit) {
      const problem = `more than the ${limit} bytes that are allowed here`;
      throw new CellarError('E_REGISTRY_INVALID', { details: { url: response.url, problem } });
    }
    chunks.push(Buffer.from(chunk));
  }
  return Buffer.concat(chunks);
}
