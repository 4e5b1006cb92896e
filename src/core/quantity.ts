/** Sizes, times and counts as people write them (command line, configuration) and read them (messages, the screen). */

const binary: Readonly<Record<string, number>> = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };
const decimal: Readonly<Record<string, number>> = { '': 1, K: 1e3, M: 1e6, G: 1e9, T: 1e12 };

/** `10G` and `512MiB` in powers of 1024, `200GB` and `64kB` in powers of 1000, `1000`; `undefined` for anything else. */
export function parseBytes(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([KMGT]?)(i?B)?$/i.exec(text);
  if (match === null) return undefined;
  const units = match[3]?.toLowerCase() === 'b' ? decimal : binary;
  const bytes = Math.round(Number(match[1]) * units[match[2]!.toUpperCase()]!);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

const durations: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
  y: 365 * 86_400_000,
};

/** `90s`, `15m`, `12h`, `7d`, `2w`, `1y` (365 days), `0`, in milliseconds; `undefined` for anything else. */
export function parseDuration(text: string): number | undefined {
  if (/^0+$/.test(text)) return 0;
  const match = /^(\d+(?:\.\d+)?)\s*(ms|s|m|min|h|d|w|y)$/.exec(text);
  if (match === null) return undefined;
  const duration = Math.round(Number(match[1]) * durations[match[2]!]!);
  return Number.isSafeInteger(duration) ? duration : undefined;
}

/** Some 24 days. What is longer Node takes for no time at all. */
const longestTimer = 2 ** 31 - 1;

/** Milliseconds for a timer that ends what takes too long: 0 is for ever, and so is what is longer than timers can be. */
export function timerOf(patience: number): number {
  return patience === 0 ? longestTimer : Math.min(patience, longestTimer);
}

/** A whole number, not negative; `undefined` for anything else. */
export function parseCount(text: string): number | undefined {
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/** A whole number of at least 1; `undefined` for anything else. */
export function parsePositive(text: string): number | undefined {
  return parseCount(text) || undefined;
}

const sizeUnits = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;

/** Bytes as `1.1 GiB`, `512 B`, in powers of 1024: at most four significant characters and a unit. */
export function formatBytes(bytes: number): string {
  let [value, unit] = [bytes, 0];
  while (value >= 1023.95 && unit < sizeUnits.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 || value >= 99.95 ? Math.round(value) : value.toFixed(1)} ${sizeUnits[unit]}`;
}

/** Seconds as `0.8 s`, `42 s`, `3 min 20 s`, `2 h 05 min`. */
export function formatDuration(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, '0')} s`;
  const minutes = Math.round(whole / 60);
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`;
}

/** `1 file`, `2 files`; the count with thousands apart. */
export function count(number: number, noun: string): string {
  return `${formatCount(number)} ${noun}${number === 1 ? '' : 's'}`;
}

export function formatCount(number: number): string {
  return String(number).replace(/\B(?=(\d{3})+(?!\d))/g, ',');
}
