/** `--platform` where several may be meant. */
import { parsePlatform, type Platform } from '../core/platform.ts';

/** @throws E_PLATFORM_INVALID */
export function parsePlatforms(texts: readonly string[]): readonly Platform[] | 'all' | undefined {
  if (texts.length === 0) return undefined;
  return texts.includes('all') ? 'all' : texts.map((text) => parsePlatform(text));
}
